#include <zsync/io/kernel.hpp>

#include <zsync/fiber/sanitizer.hpp>
#include <zsync/io/simulated.hpp>

#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#endif

// A checker learns from libc's functions what the kernel has written, and which write came before which read.
#if defined(__linux__) && defined(__x86_64__) && !defined(ZSYNC_ASAN) && !defined(ZSYNC_TSAN)
#define ZSYNC_ASKS_DIRECTLY 1
#define ZSYNC_EITHER(direct, libc) direct
#else
#define ZSYNC_EITHER(direct, libc) libc
#endif

#if defined(ZSYNC_TSAN)
extern "C" void __tsan_ignore_thread_begin();
extern "C" void __tsan_ignore_thread_end();

namespace {

struct unseen_here {
  unseen_here() noexcept { __tsan_ignore_thread_begin(); }
  ~unseen_here() { __tsan_ignore_thread_end(); }
  unseen_here(const unseen_here&) = delete;
  unseen_here& operator=(const unseen_here&) = delete;
};

}  // namespace
#endif

namespace zsync::detail::kernel {
namespace {

#if defined(ZSYNC_ASKS_DIRECTLY)
long word(long value) noexcept { return value; }
long word(int value) noexcept { return value; }
long word(unsigned value) noexcept { return value; }
long word(std::size_t value) noexcept { return static_cast<long>(value); }
long word(const void* value) noexcept { return reinterpret_cast<long>(value); }

// Becomes what the caller returns: an int where libc has one.
class answer {
 public:
  explicit answer(long value) noexcept : value_(value) {}
  operator ssize_t() const noexcept { return value_; }
  operator int() const noexcept { return static_cast<int>(value_); }

 private:
  long value_;
};

template <class... Arguments>
answer ask(long number, Arguments... arguments) noexcept {
  return answer(::syscall(number, word(arguments)...));
}

constexpr const void* nothing = nullptr;
#endif

msghdr message_of(iovec& one) noexcept {
  msghdr m{};
  m.msg_iov = &one;
  m.msg_iovlen = 1;
  return m;
}

#if !defined(__APPLE__)
// The calls of several messages, one by one: f(message) is such a call.
template <class F>
int one_by_one(mmsghdr* messages, unsigned count, F f) noexcept {
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t n = f(messages[i].msg_hdr);
    if (n < 0) return i != 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<unsigned>(n);
  }
  return static_cast<int>(count);
}
#endif

// Of a new socket, beside its type.
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
constexpr int modes = SOCK_CLOEXEC | SOCK_NONBLOCK;
#else
constexpr int modes = 0;
#endif

simulated_network& simulated(int fd) noexcept { return simulated_network::of(fd); }

}  // namespace

ssize_t read(int fd, void* buffer, std::size_t size) noexcept {
  return ZSYNC_EITHER(ask(SYS_read, fd, buffer, size), (::read(fd, buffer, size)));
}
ssize_t readv(int fd, const iovec* vector, int count) noexcept {
  return ZSYNC_EITHER(ask(SYS_readv, fd, vector, count), (::readv(fd, vector, count)));
}
ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) noexcept {
  return ZSYNC_EITHER(ask(SYS_pread64, fd, buffer, size, offset), (::pread(fd, buffer, size, offset)));
}
ssize_t write(int fd, const void* buffer, std::size_t size) noexcept {
  return ZSYNC_EITHER(ask(SYS_write, fd, buffer, size), (::write(fd, buffer, size)));
}
ssize_t writev(int fd, const iovec* vector, int count) noexcept {
  return ZSYNC_EITHER(ask(SYS_writev, fd, vector, count), (::writev(fd, vector, count)));
}
ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) noexcept {
  return ZSYNC_EITHER(ask(SYS_pwrite64, fd, buffer, size, offset), (::pwrite(fd, buffer, size, offset)));
}
int fsync(int fd) noexcept { return ZSYNC_EITHER(ask(SYS_fsync, fd), (::fsync(fd))); }

ssize_t recv(int fd, void* buffer, std::size_t size, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]] {
    iovec all{buffer, size};
    msghdr m = message_of(all);
    return simulated(fd).receive(fd, m, flags);
  }
  return ZSYNC_EITHER(ask(SYS_recvfrom, fd, buffer, size, flags, nothing, nothing),
                      (::recv(fd, buffer, size, flags)));
}
ssize_t recvmsg(int fd, msghdr* message, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return simulated(fd).receive(fd, *message, flags);
  return ZSYNC_EITHER(ask(SYS_recvmsg, fd, message, flags), (::recvmsg(fd, message, flags)));
}
ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from,
                 socklen_t* length) noexcept {
  if (is_simulated(fd)) [[unlikely]] {
    iovec all{buffer, size};
    msghdr m = message_of(all);
    m.msg_name = from;
    m.msg_namelen = *length;
    const ssize_t n = simulated(fd).receive(fd, m, flags);
    if (n >= 0) *length = m.msg_namelen;
    return n;
  }
  return ZSYNC_EITHER(ask(SYS_recvfrom, fd, buffer, size, flags, from, length),
                      (::recvfrom(fd, buffer, size, flags, from, length)));
}
ssize_t send(int fd, const void* buffer, std::size_t size, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]] {
    iovec all{const_cast<void*>(buffer), size};
    msghdr m = message_of(all);
    return simulated(fd).send(fd, m, flags);
  }
  return ZSYNC_EITHER(ask(SYS_sendto, fd, buffer, size, flags, nothing, 0),
                      (::send(fd, buffer, size, flags)));
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return simulated(fd).send(fd, *message, flags);
  return ZSYNC_EITHER(ask(SYS_sendmsg, fd, message, flags), (::sendmsg(fd, message, flags)));
}
ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to,
               socklen_t length) noexcept {
  if (is_simulated(fd)) [[unlikely]] {
    iovec all{const_cast<void*>(buffer), size};
    msghdr m = message_of(all);
    m.msg_name = const_cast<sockaddr*>(to);
    m.msg_namelen = length;
    return simulated(fd).send(fd, m, flags);
  }
  return ZSYNC_EITHER(ask(SYS_sendto, fd, buffer, size, flags, to, length),
                      (::sendto(fd, buffer, size, flags, to, length)));
}
int connect(int fd, const sockaddr* address, socklen_t length) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return simulated(fd).connect(fd, address, length);
  return ZSYNC_EITHER(ask(SYS_connect, fd, address, length), (::connect(fd, address, length)));
}
int close(int fd) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return simulated(fd).close(fd);
#if defined(ZSYNC_TSAN)
  // It is taken for a write to the number, which whoever is woken by the close may have used just now: that
  // all have left it is said by counts.
  const unseen_here ignored;
#endif
  return ZSYNC_EITHER(ask(SYS_close, fd), (::close(fd)));
}
int fcntl(int fd, int command, long argument) noexcept {
  return ZSYNC_EITHER(ask(SYS_fcntl, fd, command, argument), (::fcntl(fd, command, argument)));
}

int socket(int family, int type) noexcept {
  if (simulated_network* const simulation = simulated_network::of_thread())
    return simulation->open(family, type & ~modes);
  return ::socket(family, type, 0);
}
int socketpair(int family, int type, int (&ends)[2]) noexcept {
  if (simulated_network* const simulation = simulated_network::of_thread())
    return simulation->open_pair(family, type & ~modes, ends);
  return ::socketpair(family, type, 0, ends);
}
int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  return is_simulated(fd) ? simulated(fd).bind(fd, address, length) : ::bind(fd, address, length);
}
int listen(int fd, int backlog) noexcept {
  return is_simulated(fd) ? simulated(fd).listen(fd, backlog) : ::listen(fd, backlog);
}
int shutdown(int fd, int how) noexcept {
  return is_simulated(fd) ? simulated(fd).shut_down(fd, how) : ::shutdown(fd, how);
}
int getsockopt(int fd, int level, int name, void* value, socklen_t* length) noexcept {
  return is_simulated(fd) ? simulated(fd).get_option(fd, level, name, value, length)
                          : ::getsockopt(fd, level, name, value, length);
}
int setsockopt(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  return is_simulated(fd) ? simulated(fd).set_option(fd, level, name, value, length)
                          : ::setsockopt(fd, level, name, value, length);
}
int getsockname(int fd, sockaddr* address, socklen_t* length) noexcept {
  return is_simulated(fd) ? simulated(fd).own_name(fd, address, length) : ::getsockname(fd, address, length);
}
int getpeername(int fd, sockaddr* address, socklen_t* length) noexcept {
  return is_simulated(fd) ? simulated(fd).peer_name(fd, address, length) : ::getpeername(fd, address, length);
}

int poll(pollfd* set, std::size_t count, int milliseconds) noexcept {
  if (count == 1 && is_simulated(set->fd)) [[unlikely]] {
    set->revents = simulated(set->fd).ready(set->fd, set->events);
    return set->revents != 0 ? 1 : 0;
  }
  return ZSYNC_EITHER(ask(SYS_poll, set, count, milliseconds),
                      (::poll(set, static_cast<nfds_t>(count), milliseconds)));
}
int nanosleep(const timespec* duration, timespec* remaining) noexcept {
  return ZSYNC_EITHER(ask(SYS_nanosleep, duration, remaining), (::nanosleep(duration, remaining)));
}

#if !defined(__APPLE__)
int fdatasync(int fd) noexcept { return ZSYNC_EITHER(ask(SYS_fdatasync, fd), (::fdatasync(fd))); }
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return simulated(fd).accept(fd, address, length);
  return ZSYNC_EITHER(ask(SYS_accept4, fd, address, length, flags), (::accept4(fd, address, length, flags)));
}
int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return one_by_one(messages, count, [&](msghdr& m) { return kernel::recvmsg(fd, &m, flags); });
  return ZSYNC_EITHER(ask(SYS_recvmmsg, fd, messages, count, flags, nothing),
                      static_cast<int>(::recvmmsg(fd, messages, count, flags, nullptr)));
}
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) noexcept {
  if (is_simulated(fd)) [[unlikely]]
    return one_by_one(messages, count, [&](msghdr& m) { return kernel::sendmsg(fd, &m, flags); });
  return ZSYNC_EITHER(ask(SYS_sendmmsg, fd, messages, count, flags),
                      static_cast<int>(::sendmmsg(fd, messages, count, flags)));
}
#endif

#if defined(__linux__)
ssize_t sendfile(int out, int in, off_t* position, std::size_t count) noexcept {
  if (is_simulated(out)) [[unlikely]] {
    char block[4096];
    const ssize_t n = kernel::pread(in, block, std::min(count, sizeof block), *position);
    return n <= 0 ? n : kernel::send(out, block, static_cast<std::size_t>(n), MSG_NOSIGNAL);
  }
  return ZSYNC_EITHER(ask(SYS_sendfile, out, in, position, count), (::sendfile(out, in, position, count)));
}
ssize_t splice(int in, off_t* in_at, int out, off_t* out_at, std::size_t count, unsigned flags) noexcept {
  return ZSYNC_EITHER(ask(SYS_splice, in, in_at, out, out_at, count, flags),
                      (::splice(in, in_at, out, out_at, count, flags)));
}
int epoll_wait(int epoll, epoll_event* events, int count, int milliseconds) noexcept {
  return ZSYNC_EITHER(ask(SYS_epoll_wait, epoll, events, count, milliseconds),
                      (::epoll_wait(epoll, events, count, milliseconds)));
}
#endif

}  // namespace zsync::detail::kernel
