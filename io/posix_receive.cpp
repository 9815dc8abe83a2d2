// Receiving from sockets: as much as the flags and the socket's low-water mark ask for.
#include <zsync/io/accessible.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>

#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace zsync::posix {

namespace {

namespace kernel = detail::kernel;

using detail::descriptor;
using detail::descriptor_kind;
using detail::direction;
using detail::op;
using detail::op_kind;
using detail::wait_kind;
using namespace detail_;

constexpr std::size_t any = 1;
constexpr int whole = MSG_WAITALL;

std::atomic<bool> low_water_marks{false};

int option_of(int fd, int name) noexcept {
  int value = 0;
  socklen_t size = sizeof value;
  return kernel::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

// Of a message that the kernel will not refuse.
std::size_t size_of(const msghdr& message) noexcept {
  std::size_t size = 0;
  if (static_cast<std::size_t>(message.msg_iovlen) > IOV_MAX) return size;
  for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i)
    size += message.msg_iov[i].iov_len;
  return size;
}

// How many bytes the call waits for. Only a stream has more to come of what one call asks for, and of unix
// sockets one peeks at what there is.
std::size_t least_of(int fd, std::size_t size, int flags) noexcept {
  if (option_of(fd, SO_TYPE) != SOCK_STREAM) return any;
  if ((flags & MSG_PEEK) != 0 && !is_internet(fd)) return any;
  if ((flags & MSG_WAITALL) != 0) return size;
  return std::min(size, static_cast<std::size_t>(std::max(option_of(fd, SO_RCVLOWAT), 1)));
}

bool asks_for_more(int flags) noexcept {
  return (flags & MSG_WAITALL) != 0 || low_water_marks.load(std::memory_order_relaxed);
}

// These never wait, whatever the socket's mode: for errors, and for what is urgent.
bool never_waits(int flags) noexcept { return (flags & (MSG_DONTWAIT | detail::never_waiting)) != 0; }

// What is left of SO_RCVTIMEO, which is for the whole of a call; below zero: nothing.
clock::rep time_left(int fd, clock::time_point begin) noexcept {
  const clock::rep all = socket_timeout(fd, direction::in);
  return all == descriptor::no_timeout.count() ? all : all - (clock::now() - begin).count();
}

// Waits for what can be had after a part has come. False: there is nothing for this call. An error is left to
// the next one, which is told of it when all bytes before it have been read.
bool more_comes(int fd, clock::time_point begin) {
  for (;;) {
    pollfd p{fd, POLLIN, 0};
    const int n = kernel::poll(&p, 1, 0);
    if ((p.revents & POLLERR) != 0) return bytes_of(fd) > 0;
    if (n != 0) return n > 0;
    const clock::rep left = time_left(fd, begin);
    if (left <= 0 || detail::is_nonblocking(fd)) return false;
    op readable(op_kind::ready, direction::in);
    if (perform_borrowed(fd, descriptor_kind::socket, readable, wait_kind::io_read, left)) return false;
  }
}

// What the first `done` bytes have left of the buffers, up to the end of one; nothing if that was all.
iovec rest_of(const msghdr& message, std::size_t done) noexcept {
  for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i) {
    const iovec& v = message.msg_iov[i];
    if (done < v.iov_len) return {static_cast<char*>(v.iov_base) + done, v.iov_len - done};
    done -= v.iov_len;
  }
  return {nullptr, 0};
}

ssize_t receive_rest(int fd, const msghdr& message, ssize_t done, std::size_t least, int flags,
                     clock::time_point begin) {
  while (static_cast<std::size_t>(done) < least && more_comes(fd, begin)) {
    const iovec v = rest_of(message, static_cast<std::size_t>(done));
    const ssize_t n = kernel::recv(fd, v.iov_base, v.iov_len, (flags & ~whole) | MSG_DONTWAIT);
    if (n > 0) done += n;
    // Somebody else may have taken what was announced.
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) break;
  }
  return without_waiting(done);
}

// Looks again and again, for what is there already keeps the socket readable. `look` waits for any.
template <class F>
ssize_t peek_until(int fd, std::size_t least, F look) {
  constexpr clock::rep shortest = 1'000'000;
  constexpr clock::rep longest = 16'000'000;
  const clock::time_point begin = clock::now();
  for (clock::rep nap = shortest;; nap = std::min(2 * nap, longest)) {
    const ssize_t n = look();
    if (n <= 0 || static_cast<std::size_t>(n) >= least) return n;
    pollfd p{fd, detail::poll_peer_ended, 0};
    if (kernel::poll(&p, 1, 0) != 0) return n;
    const clock::rep left = time_left(fd, begin);
    if (left <= 0 || detail::pause(clock::duration{std::min(nap, left)})) return n;
  }
}

// TCP, which waits for something to come before it receives nothing, takes the end of its time for success.
ssize_t result_of_nothing(int fd, ssize_t result) noexcept {
  if (result < 0 && errno == EAGAIN && is_internet(fd) && option_of(fd, SO_TYPE) == SOCK_STREAM &&
      !detail::is_nonblocking(fd))
    return 0;
  return result;
}

}  // namespace

bool detail_::is_internet(int fd) noexcept {
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  return kernel::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
         (own.ss_family == AF_INET || own.ss_family == AF_INET6);
}

int detail_::bytes_of(int fd) noexcept {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 ? bytes : 0;
}

bool detail_::message_is_there(const msghdr* message) noexcept {
  if (!detail::can_read(message)) return false;
  const auto count = static_cast<std::size_t>(message->msg_iovlen);
  return count > IOV_MAX || detail::can_read(message->msg_iov, count);
}

void detail_::note_low_water_mark() noexcept { low_water_marks.store(true, std::memory_order_relaxed); }

ssize_t recv(int fd, void* buffer, std::size_t size, int flags) {
  if (!inside()) return ::recv(fd, buffer, size, flags);
  if (never_waits(flags)) return without_waiting(kernel::recv(fd, buffer, size, flags));
  const std::size_t least = asks_for_more(flags) ? least_of(fd, size, flags) : any;
  const auto receive = [&] {
    op o(op_kind::receive, direction::in, buffer, size, flags & ~whole);
    return run(fd, o, descriptor_kind::socket, wait_kind::io_read);
  };
  if (size == 0) return result_of_nothing(fd, receive());
  if (least <= any) [[likely]]
    return receive();
  if ((flags & MSG_PEEK) != 0) return peek_until(fd, least, receive);
  const clock::time_point begin = clock::now();
  const ssize_t n = receive();
  if (n <= 0) return n;
  iovec v{buffer, size};
  msghdr message{};
  message.msg_iov = &v;
  message.msg_iovlen = 1;
  return receive_rest(fd, message, n, least, flags, begin);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!inside()) return ::recvmsg(fd, message, flags);
  if (never_waits(flags)) return without_waiting(kernel::recvmsg(fd, message, flags));
  if (!message_is_there(message) || !detail::can_write(message))
    return without_waiting(kernel::recvmsg(fd, message, flags | MSG_DONTWAIT));
  const msghdr asked = *message;
  const std::size_t least = asks_for_more(flags) ? least_of(fd, size_of(asked), flags) : any;
  const auto receive = [&] {
    *message = asked;  // an earlier look has left its answers there
    op o(op_kind::receive_message, direction::in, message, 1, flags & ~whole);
    return run(fd, o, descriptor_kind::socket, wait_kind::io_read);
  };
  if (least <= any) [[likely]]
    return receive();
  if ((flags & MSG_PEEK) != 0) return peek_until(fd, least, receive);
  const clock::time_point begin = clock::now();
  const ssize_t n = receive();
  // Control data belong to the bytes they came with, and those behind may have others.
  if (n <= 0 || message->msg_controllen != 0) return n;
  return receive_rest(fd, *message, n, least, flags, begin);
}

ssize_t recvfrom(int fd, void* buffer, std::size_t size, int flags, sockaddr* from, socklen_t* length) {
  if (from == nullptr) return posix::recv(fd, buffer, size, flags);
  if (!inside()) return ::recvfrom(fd, buffer, size, flags, from, length);
  iovec v{buffer, size};
  const bool tells_length = detail::can_write(length);
  msghdr message{};
  message.msg_name = from;
  message.msg_namelen = tells_length ? *length : 0;
  message.msg_iov = &v;
  message.msg_iovlen = 1;
  const ssize_t n = posix::recvmsg(fd, &message, flags);
  if (n >= 0 && !tells_length) return failed(EFAULT);  // what has come is lost, in libc too
  if (n >= 0) *length = message.msg_namelen;
  return n;
}

}  // namespace zsync::posix
