// What the calls of zsync::posix have in common: libc's manners. Not a public header.
#pragma once

#include <zsync/io/engine.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>
#include <zsync/timer/deadline.hpp>

#include <poll.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>
#include <new>
#include <system_error>

namespace zsync::detail {

// Held while the mode of a descriptor is changed for the time of a call, and while it is asked for.
std::mutex& mode_lock(int fd) noexcept;

}  // namespace zsync::detail

namespace zsync::posix::detail_ {

inline bool inside() noexcept { return detail::current_fiber() != nullptr; }

inline int to_errno(std::error_code ec) noexcept {
  if (ec == error::closed) return EBADF;
  if (ec == std::errc::operation_canceled) return ECANCELED;
  if (ec == std::errc::timed_out) return ETIMEDOUT;
  return ec.category() == std::system_category() || ec.category() == std::generic_category() ? ec.value()
                                                                                             : EIO;
}

inline ssize_t failed(int error) noexcept {
  errno = error;
  return -1;
}

// As libc's, these calls do not throw: f() is one, or a part of one.
template <class F>
auto without_throwing(F f) noexcept -> decltype(f()) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return static_cast<decltype(f())>(failed(ENOMEM));
  }
}

// After a call that did not wait: once in a while others get a turn, so that a fast peer, or a fiber that
// looks again and again, does not own the worker. Hands the result on, and leaves errno alone.
template <class T>
T without_waiting(T result) {
  if (!detail::current_engine()->hogs()) [[likely]]
    return result;
  const int error = errno;
  detail::current_worker()->yield();
  errno = error;
  return result;
}

// More seconds than the clock can count are never over.
inline deadline after(std::time_t seconds, std::chrono::nanoseconds rest) {
  const deadline whole = deadline::after(std::chrono::seconds{seconds});
  return whole.is_never() ? whole : deadline{detail::saturated_sum(whole.time(), rest)};
}

// poll(2) until then.
int poll_until(pollfd* set, nfds_t count, deadline until);

}  // namespace zsync::posix::detail_
