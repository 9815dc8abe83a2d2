// Waiting for the events of an epoll instance that the program has made.
#include <zsync/io/descriptor.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>

#include <sys/epoll.h>

#include <algorithm>

namespace zsync::posix {
namespace {

using namespace detail_;
namespace kernel = detail::kernel;

int wait_for_events(int epoll, epoll_event* events, int count, deadline until) {
  for (;;) {
    const int n = kernel::epoll_wait(epoll, events, count, 0);
    if (n != 0 || until.has_passed()) return without_waiting(n);
    // An instance with events is itself readable. Between the wake and the look another may have taken them.
    const detail::descriptor_ptr d = detail::descriptor_ptr::borrow(epoll, detail::descriptor_kind::other);
    detail::op readable(detail::op_kind::ready, detail::direction::in);
    const std::error_code ec =
        detail::perform(*d, readable, detail::wait_kind::io_other,
                        until.is_never() ? detail::descriptor::no_timeout.count()
                                         : std::max<clock::rep>(until.remaining().count(), 1));
    const bool expired = ec == std::errc::timed_out && ec != error::deadline_expired;
    if (ec && !expired) return static_cast<int>(failed(to_errno(ec)));
  }
}

}  // namespace

int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  if (!inside()) return ::epoll_wait(epoll, events, count, timeout);
  const deadline until =
      timeout < 0 ? deadline::never() : deadline::after(std::chrono::milliseconds{timeout});
  return without_throwing([&] { return wait_for_events(epoll, events, count, until); });
}

}  // namespace zsync::posix
