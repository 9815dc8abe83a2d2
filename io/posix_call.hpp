// What the calls of zsync::posix have in common: libc's manners. Not a public header.
#pragma once

#include <zsync/io/descriptor.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/errno_here.hpp>
#include <zsync/io/op.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>
#include <zsync/timer/deadline.hpp>

#include <poll.h>
#include <sys/types.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <new>
#include <system_error>

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

// The socket's own time-out, and not a scope's.
inline bool own_timeout(std::error_code ec) noexcept {
  return ec == std::errc::timed_out && ec != error::deadline_expired;
}

// Nanoseconds that the socket's own options allow; descriptor::no_timeout without any.
clock::rep socket_timeout(int fd, detail::direction side) noexcept;

// Waits for what did not go at once.
std::error_code perform_borrowed(int fd, detail::descriptor_kind kind, detail::op& o, detail::wait_kind why,
                                 clock::rep timeout) noexcept;

// Of a message what its caller has to read; otherwise the kernel refuses it before it would wait.
bool message_is_there(const msghdr* message) noexcept;

// Does `o` now or waits for it, unless the descriptor is non-blocking; its result, or -1 with errno.
ssize_t run(int fd, detail::op& o, detail::descriptor_kind kind, detail::wait_kind why);

// Of a socket: it has a protocol of the internet's.
bool is_internet(int fd) noexcept;

// Bytes that can be read.
int bytes_of(int fd) noexcept;

// What is there of what a blocking terminal is to hand over, and what is to be waited for.
ssize_t read_terminal(int fd, const iovec* vector, int count, const detail::terminal_mode& mode);

// From now on, what sockets have for SO_RCVLOWAT is asked for. Nobody does it by himself, for that would take
// a system call each time.
void note_low_water_mark() noexcept;

// poll(2) until then.
int poll_until(pollfd* set, nfds_t count, deadline until);

}  // namespace zsync::posix::detail_
