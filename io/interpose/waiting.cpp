// Waiting for readiness, and for time to pass.
#include <zsync/io/accessible.hpp>
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/posix.hpp>

#include <sys/epoll.h>
#include <sys/select.h>
#include <threads.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace {

ZSYNC_REAL(poll);
ZSYNC_REAL(ppoll);
ZSYNC_REAL(select);
ZSYNC_REAL(pselect);
ZSYNC_REAL(epoll_wait);
ZSYNC_REAL(epoll_pwait);
ZSYNC_REAL(epoll_pwait2);
ZSYNC_REAL(sleep);
ZSYNC_REAL(usleep);
ZSYNC_REAL(nanosleep);
ZSYNC_REAL(clock_nanosleep);
ZSYNC_REAL(thrd_sleep);

[[gnu::constructor]] void find_early() noexcept {
  zsync::interpose::find_all(real_poll, real_select, real_pselect, real_sleep, real_nanosleep,
                             real_clock_nanosleep);
}

}  // namespace

using namespace zsync::interpose;
namespace posix = zsync::posix;
using zsync::detail::can_read;

namespace {

// A look without a wait. No time at all is for ever.
bool is_none(const timespec* t) noexcept {
  return t != nullptr && can_read(t) && t->tv_sec == 0 && t->tv_nsec == 0;
}

bool none_is_ready(int count, const fd_set* in, const fd_set* out, const fd_set* except) noexcept {
  if (count < 0 || count > FD_SETSIZE) return false;
  for (const fd_set* s : {in, out, except}) {
    if (s != nullptr && !can_read(s)) return false;
  }
  const int error = errno;
  fd_set sets[3];
  const fd_set* const asked[3] = {in, out, except};
  for (int i = 0; i < 3; ++i) {
    FD_ZERO(&sets[i]);
    for (int fd = 0; asked[i] != nullptr && fd < count; ++fd) {
      if (FD_ISSET(fd, asked[i])) FD_SET(fd, &sets[i]);
    }
  }
  timeval none{};
  const int ready = real_select(count, &sets[0], &sets[1], &sets[2], &none);
  errno = error;
  return ready == 0;
}

}  // namespace

ZSYNC_REPLACES int poll(pollfd* set, nfds_t count, int timeout) {
  if (!on_fiber()) return real_poll(set, count, timeout);
  if (timeout == 0) {
    const wait_ahead none("poll", false);
    return keeping_errno([&] { return posix::poll(set, count, 0); });
  }
  const wait_ahead ahead("poll", set, count);
  return keeping_errno([&] { return posix::poll(set, count, timeout); });
}

ZSYNC_REPLACES int ppoll(pollfd* set, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  if (!on_fiber()) return real_ppoll(set, count, timeout, mask);
  if (is_none(timeout)) {
    const wait_ahead none("ppoll", false);
    return keeping_errno([&] { return posix::ppoll(set, count, timeout, mask); });
  }
  const wait_ahead ahead("ppoll", set, count);
  return keeping_errno([&] { return posix::ppoll(set, count, timeout, mask); });
}

ZSYNC_REPLACES int select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  if (!on_fiber()) return real_select(count, in, out, except, timeout);
  const bool looks = timeout != nullptr && can_read(timeout) && timeout->tv_sec == 0 && timeout->tv_usec == 0;
  const wait_ahead ahead("select", mutexes_held() != 0 && !looks && none_is_ready(count, in, out, except));
  return keeping_errno([&] { return posix::select(count, in, out, except, timeout); });
}

ZSYNC_REPLACES int pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout,
                           const sigset_t* mask) {
  if (!on_fiber()) return real_pselect(count, in, out, except, timeout, mask);
  const wait_ahead ahead("pselect",
                         mutexes_held() != 0 && !is_none(timeout) && none_is_ready(count, in, out, except));
  return keeping_errno([&] { return posix::pselect(count, in, out, except, timeout, mask); });
}

ZSYNC_REPLACES int epoll_wait(int epoll, epoll_event* events, int count, int timeout) {
  if (!on_fiber()) return real_epoll_wait(epoll, events, count, timeout);
  if (timeout == 0) {
    const wait_ahead none("epoll_wait", false);
    return keeping_errno([&] { return posix::epoll_wait(epoll, events, count, 0); });
  }
  const wait_ahead ahead("epoll_wait", epoll, POLLIN);
  return keeping_errno([&] { return posix::epoll_wait(epoll, events, count, timeout); });
}

ZSYNC_REPLACES int epoll_pwait(int epoll, epoll_event* events, int count, int timeout, const sigset_t* mask) {
  if (!on_fiber()) return real_epoll_pwait(epoll, events, count, timeout, mask);
  return ::epoll_wait(epoll, events, count, timeout);
}

namespace {

bool is_time(const timespec& t) noexcept {
  return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec <= 999'999'999;
}

// Rounded up, and the longest there are rather than more; fibers' timers are no finer than their worker's
// turns.
int milliseconds(const timespec* t) noexcept {
  if (t == nullptr) return -1;
  constexpr std::int64_t most = std::numeric_limits<int>::max();
  if (t->tv_sec >= most / 1000) return static_cast<int>(most);
  return static_cast<int>(t->tv_sec * 1000 + (t->tv_nsec + 999'999) / 1'000'000);
}

}  // namespace

ZSYNC_REPLACES int epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout,
                                const sigset_t* mask) {
  if (!on_fiber()) return real_epoll_pwait2(epoll, events, count, timeout, mask);
  if (timeout != nullptr && (!can_read(timeout) || !is_time(*timeout))) {
    errno = can_read(timeout) ? EINVAL : EFAULT;
    return -1;
  }
  if (is_none(timeout)) {
    const wait_ahead none("epoll_pwait2", false);
    return keeping_errno([&] { return posix::epoll_wait(epoll, events, count, 0); });
  }
  const wait_ahead ahead("epoll_pwait2", epoll, POLLIN);
  return keeping_errno([&] { return posix::epoll_wait(epoll, events, count, milliseconds(timeout)); });
}

// ---- time ----

namespace {

// No time at all is a turn for others, unless a mutex is held that they may want: then it is libc's, which
// returns at once.
bool left_to_libc(bool no_time) noexcept { return !on_fiber() || (no_time && mutexes_held() != 0); }
bool left_to_libc(const timespec* time) noexcept {
  return !on_fiber() || (mutexes_held() != 0 && is_none(time));
}

}  // namespace

ZSYNC_REPLACES unsigned sleep(unsigned seconds) {
  if (left_to_libc(seconds == 0)) return real_sleep(seconds);
  const wait_ahead ahead("sleep");
  return keeping_errno([&] { return posix::sleep(seconds); });
}

ZSYNC_REPLACES int usleep(useconds_t microseconds) {
  if (left_to_libc(microseconds == 0)) return real_usleep(microseconds);
  const wait_ahead ahead("usleep");
  return keeping_errno([&] { return posix::usleep(microseconds); });
}

ZSYNC_REPLACES int nanosleep(const timespec* duration, timespec* remaining) {
  if (left_to_libc(duration)) return real_nanosleep(duration, remaining);
  const wait_ahead ahead("nanosleep");
  return keeping_errno([&] { return posix::nanosleep(duration, remaining); });
}

ZSYNC_REPLACES int __nanosleep(const timespec* duration, timespec* remaining) {
  return ::nanosleep(duration, remaining);
}

ZSYNC_REPLACES int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* remaining) {
  const bool has_end = (flags & TIMER_ABSTIME) != 0;
  if (has_end ? left_to_libc(false) : left_to_libc(time))
    return real_clock_nanosleep(clock, flags, time, remaining);
  const wait_ahead ahead("clock_nanosleep");
  return keeping_errno([&] { return posix::clock_nanosleep(clock, flags, time, remaining); });
}

ZSYNC_REPLACES int thrd_sleep(const timespec* duration, timespec* remaining) {
  if (left_to_libc(duration)) return real_thrd_sleep(duration, remaining);
  const wait_ahead ahead("thrd_sleep");
  const int error = errno;
  const bool slept = posix::nanosleep(duration, remaining) == 0;
  // -1 means a signal, anything below it an error.
  const int result = slept ? 0 : -2;
  errno = error;
  return result;
}

// ---- by other names: glibc's own, and what fortified programs call ----

ZSYNC_REPLACES [[noreturn]] void __chk_fail();

namespace {

void check(nfds_t count, std::size_t room) {
  if (room / sizeof(pollfd) < count) ::__chk_fail();
}

}  // namespace

ZSYNC_REPLACES int __poll(pollfd* set, nfds_t count, int timeout) { return ::poll(set, count, timeout); }

ZSYNC_REPLACES int __poll_chk(pollfd* set, nfds_t count, int timeout, std::size_t room) {
  check(count, room);
  return ::poll(set, count, timeout);
}

ZSYNC_REPLACES int __ppoll_chk(pollfd* set, nfds_t count, const timespec* timeout, const sigset_t* mask,
                               std::size_t room) {
  check(count, room);
  return ::ppoll(set, count, timeout, mask);
}

ZSYNC_REPLACES int __select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  return ::select(count, in, out, except, timeout);
}
