#include <zsync/io/accessible.hpp>
#include <zsync/io/borrowed.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/offload.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>

#include <fcntl.h>
#include <limits.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

namespace zsync::posix {
namespace {

namespace kernel = detail::kernel;

using detail::accept_request;
using detail::call_without_blocking;
using detail::can_read;
using detail::can_write;
using detail::descriptor;
using detail::descriptor_kind;
using detail::descriptor_ptr;
using detail::direction;
using detail::is_nonblocking;
using detail::op;
using detail::op_kind;
using detail::perform;
using detail::wait_kind;
using namespace detail_;

}  // namespace

clock::rep detail_::socket_timeout(int fd, direction side) noexcept {
  timeval t{};
  socklen_t size = sizeof t;
  const int name = side == direction::in ? SO_RCVTIMEO : SO_SNDTIMEO;
  if (::getsockopt(fd, SOL_SOCKET, name, &t, &size) != 0 || (t.tv_sec == 0 && t.tv_usec == 0)) {
    return descriptor::no_timeout.count();
  }
  return (std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec}) /
         std::chrono::nanoseconds{1};
}

std::error_code detail_::perform_borrowed(int fd, descriptor_kind kind, op& o, wait_kind why,
                                          clock::rep timeout) noexcept {
  try {
    const descriptor_ptr d = descriptor_ptr::borrow(fd, kind);
    return perform(*d, o, why, timeout);
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

namespace {

// What can be received no more, after shutdown() of a socket without connections: nothing, which is no error,
// where a call without waiting says only that it would wait.
bool is_shut_down(int fd) noexcept {
  pollfd p{fd, detail::poll_peer_ended, 0};
  return detail::poll_peer_ended != 0 && kernel::poll(&p, 1, 0) == 1 &&
         (p.revents & detail::poll_peer_ended) != 0;
}

bool receives(const op& o) noexcept {
  return o.kind == op_kind::receive || o.kind == op_kind::receive_message;
}

ssize_t result_of(const op& o) noexcept {
  return o.failed() ? failed(static_cast<int>(-o.result)) : static_cast<ssize_t>(o.result);
}

// Of what had to be waited for.
ssize_t outcome(const op& o, std::error_code ec, clock::rep timeout) noexcept {
  if (own_timeout(ec) && timeout != descriptor::no_timeout.count()) return failed(EAGAIN);
  return ec ? failed(to_errno(ec)) : static_cast<ssize_t>(o.result);
}

// For engines that report readiness: as the operation that is its data, and nothing from what is shut down.
std::int64_t receive_or_end(op& o) noexcept {
  op& inner = *static_cast<op*>(o.data);
  inner.fd = o.fd;
  if (!inner.attempt()) {
    if (!is_shut_down(o.fd)) return failed(EAGAIN);
    if (!inner.attempt()) return 0;  // nor has anything come before that
  }
  return inner.failed() ? failed(static_cast<int>(-inner.result)) : inner.result;
}

}  // namespace

ssize_t detail_::run(int fd, op& o, descriptor_kind kind, wait_kind why) {
  o.fd = fd;
  if (o.attempt()) return without_waiting(result_of(o));
  const bool accepts = why == wait_kind::io_accept;
  if (accepts ? detail::stays_nonblocking(fd) : is_nonblocking(fd)) return without_waiting(failed(EAGAIN));
  if ((o.flags & detail::leaves_terminals) != 0 && o.kind == op_kind::call) {
    const auto* const vector = static_cast<const iovec*>(o.data);
    if (const auto mode = detail::terminal_mode_of(fd))
      return read_terminal(fd, vector, static_cast<int>(o.size), *mode);
    o.flags &= ~detail::leaves_terminals;  // it may become one while this waits
  }
  const clock::rep timeout =
      kind == descriptor_kind::socket ? socket_timeout(fd, o.side) : descriptor::no_timeout.count();
  if (receives(o) && !detail::current_engine()->completes()) {
    op or_end(&receive_or_end, direction::in, &o);
    or_end.fd = fd;
    if (is_shut_down(fd) && or_end.attempt()) return without_waiting(result_of(or_end));
    return outcome(or_end, perform_borrowed(fd, kind, or_end, why, timeout), timeout);
  }
  const std::error_code ec = perform_borrowed(fd, kind, o, why, timeout);
  return outcome(o, ec, timeout);
}

namespace {

// A part is all that this call writes, though more is left: nobody is to wait for the rest.
bool leaves_the_rest(int fd, int flags) noexcept {
  // Of a file, a part is all that there was room for.
  return (flags & MSG_DONTWAIT) != 0 || is_nonblocking(fd) || detail::is_file(fd);
}

// Waits for room behind a part. False: that part is all, and the error that has ended the connection is left
// to the next call. What is no socket of the internet's says the same to whoever asks again.
bool room_comes(int fd) {
  if (!is_internet(fd)) return true;
  for (;;) {
    op writable(op_kind::ready, direction::out);
    writable.fd = fd;
    const clock::rep timeout = socket_timeout(fd, direction::out);
    if (perform_borrowed(fd, descriptor_kind::socket, writable, wait_kind::io_write, timeout)) return false;
    pollfd p{fd, POLLOUT, 0};
    const int n = kernel::poll(&p, 1, 0);
    // Somebody else may have filled what there was.
    if (n != 0) return n == 1 && (p.revents & (POLLERR | POLLHUP)) != (POLLERR | POLLHUP);
  }
}

// Takes the first `done` bytes, which are fewer than all, off the array.
void advance(std::vector<iovec>& left, std::size_t done) noexcept {
  std::size_t at = 0;
  while (done >= left[at].iov_len) done -= left[at++].iov_len;
  left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(at));
  left[0].iov_base = static_cast<char*>(left[0].iov_base) + done;
  left[0].iov_len -= done;
}

// Goes on until all is written, as blocking descriptors do. `write_part` gets what is left as an array of
// iovecs; it does not throw. As a rule the first call writes all, and then there is no copy of the array.
template <class F>
ssize_t write_whole(int fd, const iovec* vector, std::size_t count, int flags, F write_part) {
  ssize_t done = write_part(const_cast<iovec*>(vector), static_cast<int>(count));
  if (done < 0) return done;
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) size += vector[i].iov_len;
  if (static_cast<std::size_t>(done) >= size || leaves_the_rest(fd, flags)) return done;
  try {
    std::vector<iovec> left(vector, vector + count);
    advance(left, static_cast<std::size_t>(done));
    if (!room_comes(fd)) return done;
    for (;;) {
      const ssize_t n = write_part(left.data(), static_cast<int>(left.size()));
      if (n < 0) return done;
      done += n;
      if (static_cast<std::size_t>(done) >= size || leaves_the_rest(fd, flags)) return done;
      advance(left, static_cast<std::size_t>(n));
      if (!room_comes(fd)) return done;
    }
  } catch (const std::bad_alloc&) {
    return done;
  }
}

// The same of one buffer, to a socket.
ssize_t send_whole(int fd, const void* buffer, std::size_t size, int flags) {
  auto* const from = static_cast<char*>(const_cast<void*>(buffer));
  ssize_t done = 0;
  for (;;) {
    op o(op_kind::send, direction::out, from + done, size - static_cast<std::size_t>(done), flags);
    const ssize_t n = run(fd, o, descriptor_kind::socket, wait_kind::io_write);
    if (n < 0) return done > 0 ? done : n;
    done += n;
    if (static_cast<std::size_t>(done) >= size || leaves_the_rest(fd, flags) || !room_comes(fd)) return done;
  }
}

// What does not is refused at once.
bool listens(int fd) noexcept {
  int yes = 0;
  socklen_t size = sizeof yes;
  return kernel::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes != 0;
}

// Of a listener, and asked only when somebody is there, for that is one system call less than to find nobody.
// By the time of the accept somebody else may have taken him.
std::int64_t accept_if_ready(op& o) noexcept {
  const auto& a = *static_cast<const accept_request*>(o.data);
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

namespace {

// What is no socket.
ssize_t read_plainly(int fd, const iovec* vector, int count) {
  op o(&detail::read_shared, direction::in, const_cast<iovec*>(vector), static_cast<std::size_t>(count));
  o.flags = detail::leaves_terminals;
  return run(fd, o, descriptor_kind::shared_mode, wait_kind::io_read);
}

ssize_t write_plainly(int fd, const iovec* vector, int count) {
  return write_whole(fd, vector, static_cast<std::size_t>(count), 0, [fd](iovec* v, int n) {
    op o(&detail::write_shared, direction::out, v, static_cast<std::size_t>(n));
    return run(fd, o, descriptor_kind::shared_mode, wait_kind::io_write);
  });
}

// The call for sockets has found out that this is none, which costs less than to ask before.
bool is_no_socket(ssize_t result) noexcept { return result < 0 && errno == ENOTSOCK; }

// Nothing at all is asked for or handed over, or more parts than there may be, or they are not there: nobody
// waits for that.
bool is_nothing(const iovec* vector, int count) noexcept {
  if (count <= 0 || count > IOV_MAX || !can_read(vector, static_cast<std::size_t>(count))) return true;
  for (int i = 0; i < count; ++i) {
    if (vector[i].iov_len != 0) return false;
  }
  return true;
}

msghdr message_of(const iovec* vector, int count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(vector);
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  return message;
}

}  // namespace

ssize_t read(int fd, void* buffer, std::size_t size) {
  if (!inside()) return ::read(fd, buffer, size);
  iovec v{buffer, size};
  if (size == 0) {
    op o(&detail::read_nothing, direction::in, &v);
    return run(fd, o, descriptor_kind::shared_mode, wait_kind::io_read);
  }
  const ssize_t n = posix::recv(fd, buffer, size, 0);
  return is_no_socket(n) ? read_plainly(fd, &v, 1) : n;
}

ssize_t readv(int fd, const iovec* vector, int count) {
  if (!inside()) return ::readv(fd, vector, count);
  if (is_nothing(vector, count)) return without_waiting(kernel::readv(fd, vector, count));
  msghdr message = message_of(vector, count);
  const ssize_t n = posix::recvmsg(fd, &message, 0);
  return is_no_socket(n) ? read_plainly(fd, vector, count) : n;
}

ssize_t write(int fd, const void* buffer, std::size_t size) {
  if (!inside()) return ::write(fd, buffer, size);
  const ssize_t n = send_whole(fd, buffer, size, 0);  // nothing, too, may be a message
  if (!is_no_socket(n)) return n;
  if (size == 0) return without_waiting(kernel::write(fd, buffer, 0));
  const iovec v{const_cast<void*>(buffer), size};
  return write_plainly(fd, &v, 1);
}

ssize_t writev(int fd, const iovec* vector, int count) {
  if (!inside()) return ::writev(fd, vector, count);
  if (is_nothing(vector, count)) return without_waiting(kernel::writev(fd, vector, count));
  const msghdr message = message_of(vector, count);
  const ssize_t n = posix::sendmsg(fd, &message, 0);
  return is_no_socket(n) ? write_plainly(fd, vector, count) : n;
}

namespace {

ssize_t on_file(int fd, op& o) {
  return without_throwing([&] {
    const std::error_code ec = detail::perform_on_file(fd, o);
    return ec ? failed(to_errno(ec)) : static_cast<ssize_t>(o.result);
  });
}

}  // namespace

// Who has no positions is no file, and io_uring would read and write it all the same.
ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) {
  if (!inside()) return ::pread(fd, buffer, size, offset);
  if (kernel::pread(fd, buffer, 0, offset) < 0) return without_waiting(failed(errno));
  op o(op_kind::read_at, direction::in, buffer, size);
  o.offset = offset;
  return on_file(fd, o);
}

ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) {
  if (!inside()) return ::pwrite(fd, buffer, size, offset);
  if (kernel::pwrite(fd, buffer, 0, offset) < 0) return without_waiting(failed(errno));
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

// Of a socket that is not connected nothing tells when there is room again with whom it sends to.
bool is_to_unix_name(const msghdr& message) noexcept {
  const auto* const name = static_cast<const sockaddr*>(message.msg_name);
  return name != nullptr && message.msg_namelen >= sizeof(sa_family_t) && can_read(&name->sa_family) &&
         name->sa_family == AF_UNIX;
}

// Looks again and again.
ssize_t send_to_unix_name(int fd, const msghdr* message, int flags) {
  constexpr clock::rep shortest = 1'000'000;
  constexpr clock::rep longest = 16'000'000;
  std::optional<deadline> patience;
  for (clock::rep nap = shortest;; nap = std::min(2 * nap, longest)) {
    const ssize_t n = kernel::sendmsg(fd, message, flags | MSG_DONTWAIT | detail::no_sigpipe);
    if (n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) return without_waiting(n);
    if (!patience) {
      if (is_nonblocking(fd)) return without_waiting(failed(EAGAIN));
      patience = deadline::after(std::chrono::nanoseconds{socket_timeout(fd, direction::out)});
    }
    if (patience->has_passed()) return failed(EAGAIN);
    if (const std::error_code ec = detail::pause(std::min(clock::duration{nap}, patience->remaining())))
      return failed(to_errno(ec));
  }
}

}  // namespace

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (!inside()) return ::sendmsg(fd, message, flags);
  if ((flags & MSG_DONTWAIT) != 0 || !message_is_there(message))
    return without_waiting(kernel::sendmsg(fd, message, flags | MSG_DONTWAIT | detail::no_sigpipe));
  if (static_cast<std::size_t>(message->msg_iovlen) > IOV_MAX) return without_waiting(failed(EMSGSIZE));
  if (is_to_unix_name(*message)) return send_to_unix_name(fd, message, flags);
  msghdr part = *message;
  return write_whole(fd, message->msg_iov, message->msg_iovlen, flags, [&](iovec* v, int n) {
    part.msg_iov = v;
    part.msg_iovlen = static_cast<decltype(part.msg_iovlen)>(n);
    op o(op_kind::send_message, direction::out, &part, 1, flags);
    const ssize_t sent = run(fd, o, descriptor_kind::socket, wait_kind::io_write);
    part.msg_control = nullptr;  // it went with the first byte
    part.msg_controllen = 0;
    return sent;
  });
}

ssize_t sendto(int fd, const void* buffer, std::size_t size, int flags, const sockaddr* to,
               socklen_t length) {
  if (!inside()) return ::sendto(fd, buffer, size, flags, to, length);
  if ((flags & MSG_DONTWAIT) != 0) {
    return without_waiting(kernel::sendto(fd, buffer, size, flags | detail::no_sigpipe, to, length));
  }
  if (to == nullptr) return send_whole(fd, buffer, size, flags);
  iovec v{const_cast<void*>(buffer), size};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to);
  message.msg_namelen = length;
  message.msg_iov = &v;
  message.msg_iovlen = 1;
  return posix::sendmsg(fd, &message, flags);
}

ssize_t send(int fd, const void* buffer, std::size_t size, int flags) {
  return posix::sendto(fd, buffer, size, flags, nullptr, 0);
}

namespace {

// By the engine's own operation, for which the mode of a blocking listener, which may be other processes'
// too, need not be changed. Of a non-blocking one the call itself does not wait.
ssize_t accept_by_engine(int fd, accept_request& request) {
  const clock::rep timeout = socket_timeout(fd, direction::in);
  const bool timed = timeout != descriptor::no_timeout.count();
  const deadline until = timed ? deadline::after(clock::duration{timeout}) : deadline::never();
  // Whether somebody is there, after the kernel has said so of a listener that has become non-blocking.
  for (bool waits = false;; waits = true) {
    const bool never_waits = waits ? is_nonblocking(fd) : detail::stays_nonblocking(fd);
    if (never_waits) {
      const int n = detail::accept_with(fd, request.address, request.length, request.flags);
      if (n >= 0 || !waits || (errno != EAGAIN && errno != EWOULDBLOCK)) return without_waiting(n);
    }
    op accept(op_kind::accept, direction::in, &request);
    op anybody(op_kind::ready, direction::in);
    op& next = never_waits ? anybody : accept;
    const clock::rep left = timed ? std::max<clock::rep>(until.remaining().count(), 1) : timeout;
    const std::error_code ec =
        perform_borrowed(fd, descriptor_kind::socket, next, wait_kind::io_accept, left);
    if (own_timeout(ec) && timed) return failed(EAGAIN);
    if (ec && ec != std::errc::resource_unavailable_try_again) return failed(to_errno(ec));
    if (!ec && !never_waits) return static_cast<ssize_t>(accept.result);
  }
}

bool accepts_with(int flags) noexcept {
#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
  return (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) == 0;
#else
  return flags == 0;
#endif
}

}  // namespace

int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  if (!inside()) return detail::accept_with(fd, address, length, flags);
  // What is refused is so before anybody is there.
  if (!accepts_with(flags) || !listens(fd))
    return without_waiting(detail::accept_with(fd, address, length, flags));
  accept_request request{address, length, flags};
  if (detail::current_engine()->completes()) return static_cast<int>(accept_by_engine(fd, request));
  op o(&accept_if_ready, direction::in, &request);
  return static_cast<int>(run(fd, o, descriptor_kind::socket, wait_kind::io_accept));
}

int accept(int fd, sockaddr* address, socklen_t* length) { return posix::accept4(fd, address, length, 0); }

namespace {

// Zero once the connection that has been begun is there; otherwise an errno, `unless` if it takes too long.
int await_connection(int fd, const sockaddr* address, socklen_t length, int unless) noexcept {
  const clock::rep timeout = socket_timeout(fd, direction::out);
  op o(op_kind::connect, direction::out);
  o.connecting = true;
  o.fd = fd;
  // Readiness first, so that no engine starts the connection a second time.
  op writable(op_kind::ready, direction::out);
  const std::error_code ec =
      perform_borrowed(fd, descriptor_kind::socket, writable, wait_kind::io_connect, timeout);
  if (own_timeout(ec) && timeout != descriptor::no_timeout.count()) return unless;
  if (ec) return to_errno(ec);
  if (!o.attempt()) return unless;
  const int settled = detail::settle_connection(fd, address, length);
  return o.failed() ? static_cast<int>(-o.result) : settled;
}

}  // namespace

int connect(int fd, const sockaddr* address, socklen_t length) {
  if (!inside()) return ::connect(fd, address, length);
  if (is_nonblocking(fd)) return kernel::connect(fd, address, length);
  constexpr auto retry = std::chrono::milliseconds{1};
  std::optional<deadline> patience;
  for (;;) {
    if (call_without_blocking(fd, [&] { return kernel::connect(fd, address, length); }) == 0) return 0;
    if (errno == EINPROGRESS || errno == EALREADY || errno == EINTR) break;
    if (errno != EAGAIN) return -1;
    // A unix listener whose backlog is full.
    if (!patience) patience = deadline::after(std::chrono::nanoseconds{socket_timeout(fd, direction::out)});
    if (patience->has_passed()) return static_cast<int>(failed(EAGAIN));
    if (const std::error_code ec = detail::pause(retry)) return static_cast<int>(failed(to_errno(ec)));
  }
  // Who joins a connection that an earlier call has begun is told so if it takes too long.
  const int unless = errno == EALREADY ? EALREADY : EINPROGRESS;
  const int error = await_connection(fd, address, length, unless);
  return error == 0 ? 0 : static_cast<int>(failed(error));
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

// ---- time ----

int nanosleep(const timespec* duration, timespec* remaining) {
  if (!inside()) return ::nanosleep(duration, remaining);
  if (!can_read(duration)) return static_cast<int>(failed(EFAULT));
  if (duration->tv_nsec < 0 || duration->tv_nsec > 999'999'999 || duration->tv_sec < 0) {
    return static_cast<int>(failed(EINVAL));
  }
  const deadline until = after(duration->tv_sec, std::chrono::nanoseconds{duration->tv_nsec});
  std::error_code ec;
  if (wait_until(until, ec)) return 0;
  if (remaining != nullptr && !can_write(remaining)) return static_cast<int>(failed(EFAULT));
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
