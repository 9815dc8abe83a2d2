#include <zsync/io/kernel.hpp>
#include <zsync/io/op.hpp>
#include <zsync/io/portable.hpp>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace zsync::detail {
namespace {

std::int64_t start_connect(const op& o) noexcept {
  return kernel::connect(o.fd, static_cast<const sockaddr*>(o.data), static_cast<socklen_t>(o.size));
}

std::int64_t end_connect(const op& o) noexcept {
  pollfd p{o.fd, POLLOUT, 0};
  if (kernel::poll(&p, 1, 0) == 0) {
    errno = EAGAIN;
    return -1;
  }
  int error = 0;
  socklen_t length = sizeof error;
  if (kernel::getsockopt(o.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return -1;
  if (error == 0 && (p.revents & (POLLERR | POLLHUP)) != 0) {
    // Asked for, and thereby taken, by somebody else before: libkqueue does so.
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    if (kernel::getpeername(o.fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) error = ECONNREFUSED;
  }
  errno = error;
  return error == 0 ? 0 : -1;
}

std::int64_t look(const op& o) noexcept {
  pollfd p{o.fd, static_cast<short>(o.side == direction::in ? POLLIN : POLLOUT), 0};
  const int n = kernel::poll(&p, 1, 0);
  if (n == 0) errno = EAGAIN;
  return n > 0 ? 0 : -1;
}

std::int64_t receive_from(op& o) noexcept {
  auto& m = *static_cast<msghdr*>(o.data);
  return kernel::recvfrom(o.fd, m.msg_iov->iov_base, m.msg_iov->iov_len, o.flags | MSG_DONTWAIT,
                          static_cast<sockaddr*>(m.msg_name), &m.msg_namelen);
}

std::int64_t send_to(const op& o) noexcept {
  const auto& m = *static_cast<const msghdr*>(o.data);
  return kernel::sendto(o.fd, m.msg_iov->iov_base, m.msg_iov->iov_len, o.flags | MSG_DONTWAIT | no_sigpipe,
                        static_cast<const sockaddr*>(m.msg_name), m.msg_namelen);
}

std::int64_t call(op& o) noexcept {
  switch (o.kind) {
    case op_kind::read:
      return kernel::read(o.fd, o.data, o.size);
    case op_kind::write:
      return kernel::write(o.fd, o.data, o.size);
    case op_kind::receive:
      return kernel::recv(o.fd, o.data, o.size, o.flags | MSG_DONTWAIT);
    case op_kind::send:
      return kernel::send(o.fd, o.data, o.size, o.flags | MSG_DONTWAIT | no_sigpipe);
    case op_kind::receive_message:
      return kernel::recvmsg(o.fd, static_cast<msghdr*>(o.data), o.flags | MSG_DONTWAIT);
    case op_kind::send_message:
      return kernel::sendmsg(o.fd, static_cast<const msghdr*>(o.data), o.flags | MSG_DONTWAIT | no_sigpipe);
    case op_kind::receive_from:
      return receive_from(o);
    case op_kind::send_to:
      return send_to(o);
    case op_kind::accept:
      return accept_connection(o.fd, nullptr, nullptr);
    case op_kind::connect:
      return o.connecting ? end_connect(o) : start_connect(o);
    case op_kind::ready:
      return look(o);
    case op_kind::call:
      return o.function(o);
    case op_kind::read_at:
      return kernel::pread(o.fd, o.data, o.size, o.offset);
    case op_kind::write_at:
      return kernel::pwrite(o.fd, o.data, o.size, o.offset);
    case op_kind::sync_file:
      return o.flags != 0 ? sync_data(o.fd) : kernel::fsync(o.fd);
  }
  return -1;
}

}  // namespace

bool op::attempt() noexcept {
  for (;;) {
    const std::int64_t n = call(*this);
    if (n >= 0) [[likely]] {
      finish(n);
      return true;
    }
    const int error = errno;
    if (kind == op_kind::connect && !connecting) {
      // One that has begun goes on in the background. One that has not, because a unix listener's backlog is
      // full, says EAGAIN, and no event will follow.
      connecting = true;
      if (error == EINPROGRESS || error == EALREADY || error == EINTR) return false;
    } else if (error == EAGAIN || error == EWOULDBLOCK) {
      return false;
    } else if (error == EINTR) {
      continue;
    }
    finish(-error);
    return true;
  }
}

}  // namespace zsync::detail
