// Connections and the state of descriptors.
#include <zsync/io/borrowed.hpp>
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/sched/signal_mask.hpp>

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>

#include <cerrno>
#include <cstdio>
#include <optional>

namespace {

ZSYNC_REAL(accept);
ZSYNC_REAL(accept4);
ZSYNC_REAL(connect);
ZSYNC_REAL(close);
ZSYNC_REAL(close_range);
ZSYNC_REAL(dup2);
ZSYNC_REAL(dup3);
ZSYNC_REAL(fclose);

[[gnu::constructor]] void find_early() noexcept {
  zsync::interpose::find_all(real_accept, real_accept4, real_connect, real_close, real_dup2, real_dup3);
}

}  // namespace

using namespace zsync::interpose;
namespace detail = zsync::detail;
namespace posix = zsync::posix;

namespace {

// Off a fiber, where a fiber's accept may have the listener non-blocking for a moment.
template <class F>
int accept_blocking(int fd, F accept) {
  if (!active()) return accept();
  for (;;) {
    const int error = errno;
    const unsigned before = detail::mode_changes(fd);
    const int n = accept();
    if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return n;
    if (!detail::was_spoilt(fd, before)) {
      errno = EAGAIN;
      return n;
    }
    errno = error;
  }
}

// With a mutex in his hand who need not wait gives others no turn. -2: he has to.
int accept_with_mutex(int fd, sockaddr* address, socklen_t* length, int flags) noexcept {
  constexpr int has_to_wait = -2;
  pollfd p{fd, POLLIN, 0};
  if (detail::kernel::poll(&p, 1, 0) != 1) return has_to_wait;
  const int error = errno;
  const int n = detail::call_without_blocking(fd, [&] { return real_accept4(fd, address, length, flags); });
  if (n >= 0 || errno != EAGAIN || detail::is_nonblocking(fd)) return n;
  errno = error;
  return has_to_wait;
}

int accept_on_fiber(const char* name, int fd, sockaddr* address, socklen_t* length, int flags) {
  if (mutexes_held() != 0) [[unlikely]] {
    if (const int n = accept_with_mutex(fd, address, length, flags); n != -2) return n;
  }
  const wait_ahead ahead(name, fd, POLLIN);
  return keeping_errno([&] { return posix::accept4(fd, address, length, flags); });
}

}  // namespace

ZSYNC_REPLACES int accept(int fd, sockaddr* address, socklen_t* length) {
  if (on_fiber()) return accept_on_fiber("accept", fd, address, length, 0);
  return accept_blocking(fd, [&] { return real_accept(fd, address, length); });
}

ZSYNC_REPLACES int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (on_fiber()) return accept_on_fiber("accept4", fd, address, length, flags);
  return accept_blocking(fd, [&] { return real_accept4(fd, address, length, flags); });
}

namespace {

// A socket that is not connected yet polls as one that hung up, so that readiness tells nothing. Unix sockets
// and datagrams are connected at once.
bool connects_slowly(int fd) noexcept {
  int domain = 0;
  int type = 0;
  socklen_t size = sizeof(int);
  return (detail::kernel::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 &&
         ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain != AF_UNIX &&
         ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type != SOCK_DGRAM;
}

}  // namespace

ZSYNC_REPLACES int connect(int fd, const sockaddr* address, socklen_t length) {
  if (!on_fiber()) return real_connect(fd, address, length);
  const wait_ahead ahead("connect", mutexes_held() != 0 && connects_slowly(fd));
  return keeping_errno([&] { return posix::connect(fd, address, length); });
}

ZSYNC_REPLACES int __connect(int fd, const sockaddr* address, socklen_t length) {
  return ::connect(fd, address, length);
}

// ---- closing, which wakes who waits ----

namespace {

// Not in the child of a fork, whose copy of who waits is nobody's.
bool anybody_waits_for(int fd) noexcept {
  return active() && !in_forked_child() && detail::may_be_borrowed(fd);
}

// Calls f, which gives the number back, once nobody waits for it any more and before anybody else does. A
// plain thread takes no signal meanwhile, whose handler might come here as well.
template <class F>
auto instead_of_those_who_wait(int fd, F f) {
  if (!anybody_waits_for(fd)) return f();
  std::optional<detail::signals_blocked> quiet;
  if (!on_fiber()) quiet.emplace();
  std::optional<detail::closing_number> closing(fd);
  while (const detail::descriptor_ptr d = detail::find_borrowed(fd)) {
    d->close();
    d->await_let_go();
  }
  const auto result = f();
  const int error = errno;
  closing.reset();
  quiet.reset();
  errno = error;
  return result;
}

}  // namespace

ZSYNC_REPLACES int close(int fd) {
  if (on_fiber()) return keeping_errno([&] { return posix::close(fd); });
  return instead_of_those_who_wait(fd, [&] { return real_close(fd); });
}

ZSYNC_REPLACES int __close(int fd) { return ::close(fd); }

ZSYNC_REPLACES int dup2(int from, int to) noexcept {
  if (!active() || from == to || detail::kernel::fcntl(from, F_GETFD) < 0) return real_dup2(from, to);
  return instead_of_those_who_wait(to, [&] { return real_dup2(from, to); });
}

ZSYNC_REPLACES int dup3(int from, int to, int flags) noexcept {
  if (!active() || from == to || detail::kernel::fcntl(from, F_GETFD) < 0) return real_dup3(from, to, flags);
  return instead_of_those_who_wait(to, [&] { return real_dup3(from, to, flags); });
}

ZSYNC_REPLACES int __dup2(int from, int to) noexcept { return ::dup2(from, to); }

ZSYNC_REPLACES int close_range(unsigned first, unsigned last, int flags) noexcept {
  if ((static_cast<unsigned>(flags) & CLOSE_RANGE_CLOEXEC) == 0 && active() && !in_forked_child()) {
    for (int fd; (fd = detail::lowest_borrowed(first, last)) >= 0;) ::close(fd);
  }
  return real_close_range(first, last, flags);
}

ZSYNC_REPLACES void closefrom(int first) noexcept {
  ::close_range(static_cast<unsigned>(first < 0 ? 0 : first), ~0u, 0);
}

ZSYNC_REPLACES int fclose(FILE* file) {
  const int error = errno;
  const int fd = ::fileno(file);  // which some have not, and say so by errno
  errno = error;
  return instead_of_those_who_wait(fd, [&] { return real_fclose(file); });
}

ZSYNC_REPLACES int _IO_fclose(FILE* file) { return ::fclose(file); }
