#include <zsync/io/borrowed.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/offload.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/io/poll.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>

#include <fcntl.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

namespace zsync::detail {

std::mutex& mode_lock(int fd) noexcept {
  static constinit std::array<std::mutex, 64> locks{};
  return locks[static_cast<unsigned>(fd) % locks.size()];
}

}  // namespace zsync::detail

namespace zsync::posix {
namespace {

namespace kernel = detail::kernel;

using detail::descriptor;
using detail::descriptor_kind;
using detail::descriptor_ptr;
using detail::direction;
using detail::op;
using detail::op_kind;
using detail::perform;
using detail::wait_kind;
using namespace detail_;

bool nonblocking(int fd) noexcept {
  const std::lock_guard hold(detail::mode_lock(fd));
  const int mode = kernel::fcntl(fd, F_GETFL);
  return mode >= 0 && (mode & O_NONBLOCK) != 0;
}

// Makes a call that has no flag of its own for not waiting: its descriptor is non-blocking for that time.
// Others see that only if they make such a call at the same time, and not through this library.
template <class F>
int call_without_blocking(int fd, F call) noexcept {
  const std::lock_guard hold(detail::mode_lock(fd));
  const int mode = kernel::fcntl(fd, F_GETFL);
  const bool changes = mode >= 0 && (mode & O_NONBLOCK) == 0;
  if (changes) kernel::fcntl(fd, F_SETFL, mode | O_NONBLOCK);
  const int result = call();
  const int error = errno;
  if (changes) kernel::fcntl(fd, F_SETFL, mode);
  errno = error;
  return result;
}

// The socket's own time-out, and not a scope's.
bool own_timeout(std::error_code ec) noexcept {
  return ec == std::errc::timed_out && ec != error::deadline_expired;
}

// Nanoseconds that the socket's own options allow; descriptor::no_timeout without any.
clock::rep socket_timeout(int fd, direction side) noexcept {
  timeval t{};
  socklen_t size = sizeof t;
  const int name = side == direction::in ? SO_RCVTIMEO : SO_SNDTIMEO;
  if (::getsockopt(fd, SOL_SOCKET, name, &t, &size) != 0 || (t.tv_sec == 0 && t.tv_usec == 0)) {
    return descriptor::no_timeout.count();
  }
  return (std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec}) /
         std::chrono::nanoseconds{1};
}

// Waits for what did not go at once.
std::error_code perform_borrowed(int fd, descriptor_kind kind, op& o, wait_kind why,
                                 clock::rep timeout) noexcept {
  try {
    const descriptor_ptr d = descriptor_ptr::borrow(fd, kind);
    return perform(*d, o, why, timeout);
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

// Does `o` now or waits for it; its result, or -1 with errno.
ssize_t run(int fd, op& o, descriptor_kind kind, wait_kind why) {
  o.fd = fd;
  if (o.attempt()) {
    if (o.failed()) return without_waiting(failed(static_cast<int>(-o.result)));
    return without_waiting(static_cast<ssize_t>(o.result));
  }
  if (nonblocking(fd)) return without_waiting(failed(EAGAIN));
  const clock::rep timeout =
      kind == descriptor_kind::socket ? socket_timeout(fd, o.side) : descriptor::no_timeout.count();
  const std::error_code ec = perform_borrowed(fd, kind, o, why, timeout);
  if (own_timeout(ec) && timeout != descriptor::no_timeout.count()) {
    return failed(why == wait_kind::io_connect ? EINPROGRESS : EAGAIN);
  }
  if (ec) return failed(to_errno(ec));
  return static_cast<ssize_t>(o.result);
}

// Goes on until all is written, as blocking descriptors do. `write_part` gets what is left as an array of
// iovecs; it does not throw.
template <class F>
ssize_t write_whole(int fd, std::vector<iovec> left, int flags, F write_part) {
  const auto count = static_cast<int>(left.size());
  std::size_t at = 0;
  ssize_t done = 0;
  for (;;) {
    while (at < left.size() && left[at].iov_len == 0) ++at;
    // Nothing at all is written as well: an empty datagram is one.
    if (at == left.size()) return done == 0 ? write_part(left.data(), count) : done;
    const ssize_t n = write_part(&left[at], static_cast<int>(left.size() - at));
    if (n < 0) return done > 0 ? done : n;
    done += n;
    for (auto rest = static_cast<std::size_t>(n); rest != 0;) {
      const std::size_t step = std::min(rest, left[at].iov_len);
      left[at].iov_base = static_cast<char*>(left[at].iov_base) + step;
      left[at].iov_len -= step;
      rest -= step;
      if (left[at].iov_len == 0) ++at;
    }
    if ((flags & MSG_DONTWAIT) != 0 || nonblocking(fd)) return done;
  }
}

struct accept_arguments {
  sockaddr* address;
  socklen_t* length;
  int flags;
};

// Asked only when somebody is there, for that is one system call less than to find nobody. By the time of the
// accept somebody else may have taken him.
std::int64_t accept_if_ready(op& o) noexcept {
  const auto& a = *static_cast<const accept_arguments*>(o.data);
  pollfd p{o.fd, POLLIN, 0};
  if (kernel::poll(&p, 1, 0) == 0) return failed(EAGAIN);
  return call_without_blocking(o.fd, [&] { return detail::accept_with(o.fd, a.address, a.length, a.flags); });
}

bool wait_until(deadline until, std::error_code& ec) {
  ec = detail::pause(until.remaining());
  return !ec;
}

}  // namespace

// ---- any descriptor ----

ssize_t readv(int fd, const iovec* vector, int count) {
  if (!inside()) return ::readv(fd, vector, count);
  op o(&detail::read_shared, direction::in, const_cast<iovec*>(vector), static_cast<std::size_t>(count));
  return run(fd, o, descriptor_kind::shared_mode, wait_kind::io_read);
}

ssize_t read(int fd, void* buffer, std::size_t size) {
  const iovec v{buffer, size};
  return posix::readv(fd, &v, 1);
}

ssize_t writev(int fd, const iovec* vector, int count) {
  if (!inside()) return ::writev(fd, vector, count);
  return without_throwing([&] {
    return write_whole(fd, {vector, vector + count}, 0, [fd](iovec* v, int n) {
      op o(&detail::write_shared, direction::out, v, static_cast<std::size_t>(n));
      return run(fd, o, descriptor_kind::shared_mode, wait_kind::io_write);
    });
  });
}

ssize_t write(int fd, const void* buffer, std::size_t size) {
  const iovec v{const_cast<void*>(buffer), size};
  return posix::writev(fd, &v, 1);
}

namespace {

ssize_t on_file(int fd, op& o) {
  return without_throwing([&] {
    const std::error_code ec = detail::perform_on_file(fd, o);
    return ec ? failed(to_errno(ec)) : static_cast<ssize_t>(o.result);
  });
}

}  // namespace

ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) {
  if (!inside()) return ::pread(fd, buffer, size, offset);
  op o(op_kind::read_at, direction::in, buffer, size);
  o.offset = offset;
  return on_file(fd, o);
}

ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) {
  if (!inside()) return ::pwrite(fd, buffer, size, offset);
  op o(op_kind::write_at, direction::out, const_cast<void*>(buffer), size);
  o.offset = offset;
  return on_file(fd, o);
}

int fsync(int fd) {
  if (!inside()) return ::fsync(fd);
  op o(op_kind::sync_file, direction::out);
  return static_cast<int>(on_file(fd, o));
}

// ---- sockets ----

namespace {

// MSG_WAITALL: only a stream has more to come of what one call asks for.
bool goes_on(int fd, int flags) noexcept {
  if ((flags & MSG_WAITALL) == 0 || (flags & MSG_PEEK) != 0) return false;
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// What the first `done` bytes have left of the buffers.
ssize_t receive_rest(int fd, const msghdr& message, std::size_t done, int flags) {
  std::size_t skipped = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i) {
    const iovec& v = message.msg_iov[i];
    skipped += v.iov_len;
    if (done >= skipped) continue;
    const std::size_t left = skipped - done;
    const ssize_t n = posix::recv(fd, static_cast<char*>(v.iov_base) + (v.iov_len - left), left, flags);
    if (n > 0) done += static_cast<std::size_t>(n);
    if (done < skipped) break;
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  if (!inside()) return ::recv(fd, buffer, size, flags);
  if ((flags & MSG_DONTWAIT) != 0) return without_waiting(kernel::recv(fd, buffer, size, flags));
  const bool whole = goes_on(fd, flags);
  ssize_t done = 0;
  do {
    op o(op_kind::receive, direction::in, static_cast<char*>(buffer) + done,
         size - static_cast<std::size_t>(done), flags & ~MSG_WAITALL);
    const ssize_t n = run(fd, o, descriptor_kind::socket, wait_kind::io_read);
    if (n < 0) return done > 0 ? done : n;
    if (n == 0) break;
    done += n;
  } while (whole && static_cast<std::size_t>(done) < size);
  return done;
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!inside()) return ::recvmsg(fd, message, flags);
  if ((flags & MSG_DONTWAIT) != 0) return without_waiting(kernel::recvmsg(fd, message, flags));
  const bool whole = goes_on(fd, flags);
  op o(op_kind::receive_message, direction::in, message, 1, flags & ~MSG_WAITALL);
  const ssize_t n = run(fd, o, descriptor_kind::socket, wait_kind::io_read);
  // Control data belong to the bytes they came with, and those behind may have others.
  if (!whole || n <= 0 || message->msg_controllen != 0) return n;
  return receive_rest(fd, *message, static_cast<std::size_t>(n), flags);
}

ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from, socklen_t* length) {
  if (from == nullptr) return posix::recv(fd, buffer, size, flags);
  iovec v{buffer, size};
  msghdr message{};
  message.msg_name = from;
  message.msg_namelen = length != nullptr ? *length : 0;
  message.msg_iov = &v;
  message.msg_iovlen = 1;
  const ssize_t n = posix::recvmsg(fd, &message, flags);
  if (n >= 0 && length != nullptr) *length = message.msg_namelen;
  return n;
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!inside()) return ::sendmsg(fd, message, flags);
  if ((flags & MSG_DONTWAIT) != 0)
    return without_waiting(kernel::sendmsg(fd, message, flags | detail::no_sigpipe));
  msghdr part = *message;
  return without_throwing([&] {
    return write_whole(fd, {message->msg_iov, message->msg_iov + message->msg_iovlen}, flags,
                       [&](iovec* v, int n) {
                         part.msg_iov = v;
                         part.msg_iovlen = static_cast<decltype(part.msg_iovlen)>(n);
                         op o(op_kind::send_message, direction::out, &part, 1, flags);
                         const ssize_t sent = run(fd, o, descriptor_kind::socket, wait_kind::io_write);
                         part.msg_control = nullptr;  // it went with the first byte
                         part.msg_controllen = 0;
                         return sent;
                       });
  });
}

ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to,
               socklen_t length) {
  if (!inside()) return ::sendto(fd, buffer, size, flags, to, length);
  iovec v{const_cast<void*>(buffer), size};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to);
  message.msg_namelen = length;
  message.msg_iov = &v;
  message.msg_iovlen = 1;
  if (size == 0) {
    op o(op_kind::send_message, direction::out, &message, 1, flags);
    return run(fd, o, descriptor_kind::socket, wait_kind::io_write);
  }
  return posix::sendmsg(fd, &message, flags);
}

ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  return posix::sendto(fd, buffer, size, flags, nullptr, 0);
}

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (!inside()) return detail::accept_with(fd, address, length, flags);
  accept_arguments arguments{address, length, flags};
  op o(&accept_if_ready, direction::in, &arguments);
  return static_cast<int>(run(fd, o, descriptor_kind::socket, wait_kind::io_accept));
}

int accept(int fd, sockaddr* address, socklen_t* length) { return posix::accept4(fd, address, length, 0); }

int connect(int fd, const sockaddr* address, socklen_t length) {
  if (!inside()) return ::connect(fd, address, length);
  if (nonblocking(fd)) return kernel::connect(fd, address, length);
  constexpr auto retry = std::chrono::milliseconds{1};
  std::optional<deadline> patience;
  for (;;) {
    if (call_without_blocking(fd, [&] { return kernel::connect(fd, address, length); }) == 0) return 0;
    if (errno == EINPROGRESS || errno == EINTR) break;
    if (errno != EAGAIN) return -1;
    // A unix listener whose backlog is full.
    if (!patience) patience = deadline::after(std::chrono::nanoseconds{socket_timeout(fd, direction::out)});
    if (patience->has_passed()) return static_cast<int>(failed(EAGAIN));
    if (const std::error_code ec = detail::pause(retry)) return static_cast<int>(failed(to_errno(ec)));
  }
  op o(op_kind::connect, direction::out);
  o.connecting = true;
  const clock::rep timeout = socket_timeout(fd, direction::out);
  // Readiness first, so that no engine starts the connection a second time.
  op writable(op_kind::ready, direction::out);
  const std::error_code ec =
      perform_borrowed(fd, descriptor_kind::socket, writable, wait_kind::io_connect, timeout);
  if (own_timeout(ec) && timeout != descriptor::no_timeout.count())
    return static_cast<int>(failed(EINPROGRESS));
  if (ec) return static_cast<int>(failed(to_errno(ec)));
  o.fd = fd;
  if (!o.attempt()) return static_cast<int>(failed(EINPROGRESS));
  return o.failed() ? static_cast<int>(failed(static_cast<int>(-o.result))) : 0;
}

int close(int fd) {
  if (detail::engine* const here = inside() ? detail::current_engine() : nullptr) {
    descriptor* const known = here->resident(fd);
    if (known != nullptr && !known->borrowed() && known->retain_if_alive()) {
      const descriptor_ptr owned(known);
      owned->close();  // which gives the number back
      owned->await_let_go();
      return 0;
    }
  }
  const detail::closing_number closing(fd);
  while (const descriptor_ptr d = detail::find_borrowed(fd)) {
    d->close();
    d->await_let_go();
  }
  return kernel::close(fd);
}

// ---- readiness ----

int detail_::poll_until(pollfd* set, nfds_t count, deadline until) {
  std::error_code ec;
  return without_throwing([&] {
    const int n = detail::poll_many({set, count}, until, ec);
    return without_waiting(ec ? static_cast<int>(failed(to_errno(ec))) : n);
  });
}

int poll(pollfd* set, nfds_t count, int timeout) {
  if (!inside()) return ::poll(set, count, timeout);
  if (timeout == 0) return without_waiting(kernel::poll(set, count, 0));
  return poll_until(set, count,
                    timeout < 0 ? deadline::never() : deadline::after(std::chrono::milliseconds{timeout}));
}

namespace {

int select_in_fiber(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  if (count < 0 || (timeout != nullptr && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
    return static_cast<int>(failed(EINVAL));
  std::vector<pollfd> set;
  for (int fd = 0; fd < count; ++fd) {
    int events = 0;
    if (in != nullptr && FD_ISSET(fd, in)) events |= POLLIN;
    if (out != nullptr && FD_ISSET(fd, out)) events |= POLLOUT;
    if (except != nullptr && FD_ISSET(fd, except)) events |= POLLPRI;
    if (events != 0) set.push_back({fd, static_cast<short>(events), 0});
  }
  const deadline until =
      timeout == nullptr
          ? deadline::never()
          : after(timeout->tv_sec, detail::saturated(std::chrono::microseconds{timeout->tv_usec}));
  std::error_code ec;
  detail::poll_many(set, until, ec);
  without_waiting(0);
  if (ec) return static_cast<int>(failed(to_errno(ec)));
  if (timeout != nullptr && !until.is_never()) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until.remaining()).count();
    timeout->tv_sec = static_cast<time_t>(left / 1'000'000);
    timeout->tv_usec = static_cast<suseconds_t>(left % 1'000'000);
  }
  for (fd_set* s : {in, out, except}) {
    if (s != nullptr) FD_ZERO(s);
  }
  int ready = 0;
  for (const pollfd& p : set) {
    if ((p.revents & POLLNVAL) != 0) return static_cast<int>(failed(EBADF));
    const auto report = [&](fd_set* s, int asked, int found) {
      if (s == nullptr || (p.events & asked) == 0 || (p.revents & found) == 0) return;
      FD_SET(p.fd, s);
      ++ready;
    };
    report(in, POLLIN, POLLIN | POLLHUP | POLLERR);
    report(out, POLLOUT, POLLOUT | POLLERR);
    report(except, POLLPRI, POLLPRI);
  }
  return ready;
}

}  // namespace

int select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  if (!inside()) return ::select(count, in, out, except, timeout);
  return without_throwing([&] { return select_in_fiber(count, in, out, except, timeout); });
}

// ---- time ----

int nanosleep(const timespec* duration, timespec* remaining) {
  if (!inside()) return ::nanosleep(duration, remaining);
  if (duration->tv_nsec < 0 || duration->tv_nsec > 999'999'999 || duration->tv_sec < 0) {
    return static_cast<int>(failed(EINVAL));
  }
  const deadline until = after(duration->tv_sec, std::chrono::nanoseconds{duration->tv_nsec});
  std::error_code ec;
  if (wait_until(until, ec)) return 0;
  if (remaining != nullptr && until.is_never()) {
    *remaining = *duration;
  } else if (remaining != nullptr) {
    const auto left = until.remaining().count();
    remaining->tv_sec = static_cast<time_t>(left / 1'000'000'000);
    remaining->tv_nsec = static_cast<long>(left % 1'000'000'000);
  }
  return static_cast<int>(failed(to_errno(ec)));
}

int usleep(useconds_t microseconds) {
  const timespec t{static_cast<time_t>(microseconds / 1'000'000),
                   static_cast<long>(microseconds % 1'000'000) * 1000};
  return posix::nanosleep(&t, nullptr);
}

unsigned sleep(unsigned seconds) {
  timespec left{static_cast<time_t>(seconds), 0};
  if (posix::nanosleep(&left, &left) == 0) return 0;
  return static_cast<unsigned>(left.tv_sec) + (left.tv_nsec != 0 ? 1 : 0);
}

// ---- names ----

namespace {

// What libc has no other way to do than to block: `call` returns a code of its own.
template <class F>
int on_helper(F call) {
  std::error_code ec;
  int status = 0;
  try {
    detail::offload(ec, [&] {
      status = call();
      return 0;
    });
  } catch (const std::bad_alloc&) {
    return EAI_MEMORY;
  }
  if (!ec) return status;
  errno = to_errno(ec);
  return EAI_SYSTEM;
}

}  // namespace

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  if (!inside()) return ::getaddrinfo(node, service, hints, result);
  return on_helper([&] { return ::getaddrinfo(node, service, hints, result); });
}

int getnameinfo(const sockaddr* address, socklen_t length, char* host, socklen_t host_size, char* service,
                socklen_t service_size, int flags) {
  const auto look_up = [&] {
    return ::getnameinfo(address, length, host, host_size, service, service_size, flags);
  };
  return inside() ? on_helper(look_up) : look_up();
}

}  // namespace zsync::posix
