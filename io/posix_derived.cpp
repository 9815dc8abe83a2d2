// Calls of zsync::posix that are made of others of them.
#include <zsync/io/accessible.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>
#include <zsync/sched/scope.hpp>

#include <algorithm>

namespace zsync::posix {
namespace {

using namespace detail_;

bool is_time(const timespec& t) noexcept {
  return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec <= 999'999'999;
}

// May be left out, and otherwise has to be where it can be read.
bool is_there(const timespec* t) noexcept { return t == nullptr || detail::can_read(t); }
bool is_there(const sigset_t* mask) noexcept {
  return mask == nullptr || detail::can_read(static_cast<const void*>(mask), sizeof(unsigned long));
}

deadline after(const timespec& t) { return detail_::after(t.tv_sec, std::chrono::nanoseconds{t.tv_nsec}); }

timespec what_is_left(deadline until) noexcept {
  const auto left = until.remaining().count();
  return {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
}

bool is_before(const timespec& a, const timespec& b) noexcept {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// `a` is not before `b`.
timespec difference(const timespec& a, const timespec& b) noexcept {
  const bool borrow = a.tv_nsec < b.tv_nsec;
  return {a.tv_sec - b.tv_sec - (borrow ? 1 : 0), a.tv_nsec - b.tv_nsec + (borrow ? 1'000'000'000 : 0)};
}

// Those of processes and threads only count while these run.
bool passes_by_itself(clockid_t clock) noexcept {
  return clock != CLOCK_PROCESS_CPUTIME_ID && clock != CLOCK_THREAD_CPUTIME_ID && clock >= 0;
}

#if defined(TIMER_ABSTIME)
constexpr int timer_absolute = TIMER_ABSTIME;
#else
constexpr int timer_absolute = 1;
#endif

#if !defined(__APPLE__)
bool is_stream(int fd) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

bool must_wait() noexcept { return errno == EAGAIN || errno == EWOULDBLOCK; }

std::size_t size_of(const msghdr& message) noexcept {
  std::size_t size = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i)
    size += message.msg_iov[i].iov_len;
  return size;
}

// Waits for a message behind others. False: those are all. An error is left to the next call, as the kernel
// leaves it to that; of a stream bytes come before it.
bool another_comes(int fd, int flags) {
  for (;;) {
    if ((flags & MSG_DONTWAIT) != 0 || detail::is_nonblocking(fd)) return false;
    detail::op readable(detail::op_kind::ready, detail::direction::in);
    readable.fd = fd;
    if (perform_borrowed(fd, detail::descriptor_kind::socket, readable, detail::wait_kind::io_read,
                         socket_timeout(fd, detail::direction::in)))
      return false;
    pollfd p{fd, POLLIN, 0};
    const int n = detail::kernel::poll(&p, 1, 0);
    // Somebody else may have taken what there was.
    if (n != 0) return n == 1 && ((p.revents & POLLERR) == 0 || (is_stream(fd) && bytes_of(fd) > 0));
  }
}

// How many messages went; if none did, errno says why.
int outcome(unsigned done, unsigned count) noexcept {
  return done != 0 || count == 0 ? static_cast<int>(done) : -1;
}
#endif

}  // namespace

#if !defined(__APPLE__)

int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
  if (!inside()) return static_cast<int>(::recvmmsg(fd, messages, count, flags, timeout));
  if (timeout != nullptr && !detail::can_write(timeout)) return static_cast<int>(failed(EFAULT));
  if (timeout != nullptr && !is_time(*timeout)) return static_cast<int>(failed(EINVAL));
  if (count == 0) return without_waiting(detail::receive_messages(fd, messages, 0, flags | MSG_DONTWAIT));
  const deadline until = timeout == nullptr ? deadline::never() : after(*timeout);
  const deadline_scope in_time(until);
  const bool one_will_do = (flags & MSG_WAITFORONE) != 0;
  const int each = flags & ~MSG_WAITFORONE;
  unsigned done = 0;
  while (done != count && !(done != 0 && (one_will_do || until.has_passed()))) {
    const int n = detail::receive_messages(fd, messages + done, count - done, each | MSG_DONTWAIT);
    if (n < 0 && !must_wait()) break;
    if (n > 0) done += static_cast<unsigned>(n);
    if (done == count || (done != 0 && (one_will_do || !another_comes(fd, each)))) break;

    const ssize_t size = posix::recvmsg(fd, &messages[done].msg_hdr, each);
    if (size < 0) {
      if (errno == ETIMEDOUT && until.has_passed()) errno = EAGAIN;
      break;
    }
    messages[done++].msg_len = static_cast<unsigned>(size);
  }
  if (timeout != nullptr && !until.is_never()) *timeout = what_is_left(until);
  return without_waiting(outcome(done, count));
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  if (!inside()) return static_cast<int>(::sendmmsg(fd, messages, count, flags));
  if (count == 0) return without_waiting(detail::send_messages(fd, messages, 0, flags | MSG_DONTWAIT));
  // Of a stream's message a part may go, and the rest must before the next.
  const bool several_at_once = !is_stream(fd);
  unsigned done = 0;
  while (done != count) {
    if (several_at_once) {
      const int n =
          detail::send_messages(fd, messages + done, count - done, flags | MSG_DONTWAIT | detail::no_sigpipe);
      if (n < 0 && !must_wait()) break;
      if (n > 0) done += static_cast<unsigned>(n);
      if (done == count) break;
    }
    const ssize_t size = posix::sendmsg(fd, &messages[done].msg_hdr, flags);
    if (size < 0) break;
    if (!detail::can_write(&messages[done].msg_len)) {
      errno = EFAULT;
      break;
    }
    messages[done].msg_len = static_cast<unsigned>(size);
    if (static_cast<std::size_t>(size) < size_of(messages[done++].msg_hdr)) break;  // never one behind a part
  }
  return without_waiting(outcome(done, count));
}

#endif

int ppoll(pollfd* set, nfds_t count, const timespec* timeout, const sigset_t* mask) {
#if defined(__linux__)
  if (!inside()) return ::ppoll(set, count, timeout, mask);
#endif
  if (!is_there(timeout) || !is_there(mask)) return static_cast<int>(failed(EFAULT));
  if (timeout != nullptr && !is_time(*timeout)) return static_cast<int>(failed(EINVAL));
  if (timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0) return posix::poll(set, count, 0);
  if (timeout == nullptr) return posix::poll(set, count, -1);
  return poll_until(set, count, after(*timeout));
}

int pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout,
            const sigset_t* mask) {
  if (!inside()) return ::pselect(count, in, out, except, timeout, mask);
  if (!is_there(timeout) || !is_there(mask)) return static_cast<int>(failed(EFAULT));
  if (timeout == nullptr) return posix::select(count, in, out, except, nullptr);
  if (!is_time(*timeout)) return static_cast<int>(failed(EINVAL));
  timeval t{timeout->tv_sec, static_cast<suseconds_t>((timeout->tv_nsec + 999) / 1000)};  // never early
  return posix::select(count, in, out, except, &t);
}

int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* remaining) {
#if !defined(__APPLE__)
  if (!inside()) return ::clock_nanosleep(clock, flags, time, remaining);
#endif
  timespec now{};
  if (::clock_gettime(clock, &now) != 0) return EINVAL;
  if (!detail::can_read(time)) return EFAULT;
  if (!is_time(*time)) return EINVAL;
  if (!passes_by_itself(clock)) return ENOTSUP;
  if ((flags & timer_absolute) == 0) return posix::nanosleep(time, remaining) == 0 ? 0 : errno;
  while (is_before(now, *time)) {
    const timespec left = difference(*time, now);
    if (posix::nanosleep(&left, nullptr) != 0) return errno;
    ::clock_gettime(clock, &now);
  }
  return 0;
}

}  // namespace zsync::posix
