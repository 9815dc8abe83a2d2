#include "common/echo.hpp"

#include <array>
#include <span>
#include <vector>

namespace samples {
namespace {

// What one connection did. It counts however the connection ends.
struct tally {
  echo_figures& figures;
  std::uint64_t requests = 0;
  std::uint64_t bytes = 0;

  ~tally() {
    figures.requests += requests;
    figures.bytes += bytes;
  }
};

}  // namespace

void echo(zsync::tcp_stream& peer, echo_figures& figures) {
  tally mine{figures};
  // A connection that has little to say touches no more of its stack than this.
  std::array<std::byte, 1024> small;
  std::vector<std::byte> large;
  std::span<std::byte> buffer = small;
  while (const std::size_t n = peer.read(buffer)) {
    peer.write_all(buffer.first(n));
    ++mine.requests;
    mine.bytes += n;
    if (n == small.size() && large.empty()) {
      large.resize(64 * 1024);
      buffer = large;
    }
  }
}

}  // namespace samples
