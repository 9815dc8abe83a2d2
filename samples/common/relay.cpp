#include "common/relay.hpp"

namespace samples {
namespace {

void pump(zsync::tcp_stream& from, zsync::tcp_stream& to) {
  zsync::copy(from, to);
  to.shutdown(zsync::shutdown_send);
}

}  // namespace

void relay(zsync::tcp_stream& a, zsync::tcp_stream& b) {
  zsync::task_group both;  // if one direction breaks, the other one ends as well
  both.spawn([&] { pump(a, b); });
  both.spawn([&] { pump(b, a); });
  both.wait();
}

}  // namespace samples
