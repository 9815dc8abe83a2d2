#include <zsync/io/kernel.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/unix.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace zsync {
namespace detail {
namespace {

// Room for the largest control message that carries descriptors.
struct alignas(cmsghdr) control_buffer {
  std::array<char, CMSG_SPACE(sizeof(int) * descriptors_max)> bytes;
};

void take_descriptors(msghdr& message, std::vector<unique_fd>& to) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::array<int, descriptors_max> numbers{};
    std::memcpy(numbers.data(), CMSG_DATA(c), std::min(count, numbers.size()) * sizeof(int));
    std::vector<unique_fd> owned;
    owned.reserve(count);  // before anything else can throw, each has an owner
    for (std::size_t i = 0; i < count; ++i) owned.emplace_back(numbers[i]);
    if (received_close_on_exec == 0)
      std::ranges::for_each(owned, [](const unique_fd& d) { close_on_exec(d.get()); });
    std::ranges::move(owned, std::back_inserter(to));
  }
}

// Somebody else's full queue makes no event at the sender's socket when it has room again.
std::error_code send_to_somebody(descriptor& d, op& o) {
  constexpr auto retry = std::chrono::milliseconds{1};
  const clock::rep limit = d.write_timeout.load(std::memory_order_relaxed);
  const deadline until =
      limit == descriptor::no_timeout.count() ? deadline::never() : deadline::after(clock::duration{limit});
  for (;;) {
    bool done = false;
    const bool open = with_fd(d, [&](int fd) {
      o.fd = fd;
      done = o.attempt();
    });
    if (!open) return error::closed;
    if (done && o.failed()) return {static_cast<int>(-o.result), std::system_category()};
    if (done) return {};
    if (until.has_passed()) return std::make_error_code(std::errc::timed_out);
    if (const std::error_code ec = pause(retry)) return ec;
  }
}

std::error_code last_error() noexcept { return {errno, std::system_category()}; }

std::pair<descriptor_ptr, descriptor_ptr> socket_pair(int type) {
  int ends[2];
  if (open_socket_pair(AF_UNIX, type, ends) != 0) fail(last_error(), "socketpair");
  unique_fd second(ends[1]);
  descriptor_ptr first = descriptor_ptr::adopt(ends[0], descriptor_kind::socket);
  return {std::move(first), descriptor_ptr::adopt(second.release(), descriptor_kind::socket)};
}

}  // namespace

std::size_t send_with_descriptors(const descriptor_ptr& d, const_buffer data,
                                  std::span<const int> descriptors, const socket_address* to,
                                  std::error_code& ec) {
  if (!d) {
    ec = error::closed;
    return 0;
  }
  if (descriptors.size() > descriptors_max) {
    ec = std::make_error_code(std::errc::argument_list_too_long);
    return 0;
  }
  iovec vector{const_cast<std::byte*>(data.data()), data.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (to != nullptr) {
    message.msg_name = const_cast<sockaddr*>(to->native());
    message.msg_namelen = to->native_size();
  }
  control_buffer control;
  if (!descriptors.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(c), descriptors.data(), descriptors.size_bytes());
  }
  op o(op_kind::send_message, direction::out, &message, 1);
  ec = to == nullptr ? perform(*d, o, wait_kind::io_write, d->write_timeout.load(std::memory_order_relaxed))
                     : send_to_somebody(*d, o);
  return ec ? 0 : static_cast<std::size_t>(o.result);
}

std::size_t receive_with_descriptors(const descriptor_ptr& d, mutable_buffer data,
                                     std::vector<unique_fd>& descriptors, socket_address* from,
                                     std::error_code& ec) {
  if (!d) {
    ec = error::closed;
    return 0;
  }
  iovec vector{data.data(), data.size()};
  sockaddr_storage name{};
  control_buffer control;
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  if (from != nullptr) {
    message.msg_name = &name;
    message.msg_namelen = sizeof name;
  }
  op o(op_kind::receive_message, direction::in, &message, 1, received_close_on_exec);
  ec = perform(*d, o, wait_kind::io_read, d->read_timeout.load(std::memory_order_relaxed));
  if (ec) return 0;
  take_descriptors(message, descriptors);
  if (from != nullptr) {
    *from = socket_address::from_native(reinterpret_cast<const sockaddr*>(&name), message.msg_namelen);
  }
  return static_cast<std::size_t>(o.result);
}

}  // namespace detail

using detail::descriptor_kind;
using detail::descriptor_ptr;
using detail::throw_if;

// ---- unix_stream ----

unix_stream::unix_stream(from_fd_t, int fd)
    : stream_socket(descriptor_ptr::adopt(fd, descriptor_kind::socket)) {}

unix_stream unix_stream::connect(const socket_address& to, std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(AF_UNIX, SOCK_STREAM, descriptor_kind::socket, ec);
  if (!ec) detail::connect_socket(*d, to, ec);
  return ec ? unix_stream() : unix_stream(std::move(d));
}
unix_stream unix_stream::connect(const socket_address& to) {
  std::error_code ec;
  unix_stream connected = connect(to, ec);
  if (ec) detail::fail(ec, ("connect " + to.to_string()).c_str());
  return connected;
}
unix_stream unix_stream::connect(std::string_view path) { return connect(socket_address::unix_socket(path)); }

std::pair<unix_stream, unix_stream> unix_stream::pair() {
  auto [a, b] = detail::socket_pair(SOCK_STREAM);
  return {unix_stream(std::move(a)), unix_stream(std::move(b))};
}

std::size_t unix_stream::send_descriptors(const_buffer data, std::span<const int> descriptors,
                                          std::error_code& ec) {
  return detail::send_with_descriptors(stream_descriptor(), data, descriptors, nullptr, ec);
}
std::size_t unix_stream::send_descriptors(const_buffer data, std::span<const int> descriptors) {
  std::error_code ec;
  const std::size_t n = send_descriptors(data, descriptors, ec);
  throw_if(ec, "send_descriptors");
  return n;
}

std::size_t unix_stream::receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors,
                                             std::error_code& ec) {
  return detail::receive_with_descriptors(stream_descriptor(), data, descriptors, nullptr, ec);
}
std::size_t unix_stream::receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors) {
  std::error_code ec;
  const std::size_t n = receive_descriptors(data, descriptors, ec);
  throw_if(ec, "receive_descriptors");
  return n;
}

// ---- unix_listener ----

unix_listener::unix_listener(from_fd_t, int fd)
    : descriptor_owner(descriptor_ptr::adopt(fd, descriptor_kind::socket)) {
  detail::kernel::fcntl(fd, F_SETFL, detail::kernel::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

unix_listener unix_listener::bind(const socket_address& to, std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(AF_UNIX, SOCK_STREAM, descriptor_kind::socket, ec);
  if (!ec) detail::bind_socket(*d, to, ec);
  if (!ec && detail::kernel::listen(d->fd(), SOMAXCONN) != 0) ec = detail::last_error();
  return ec ? unix_listener() : unix_listener(std::move(d));
}
unix_listener unix_listener::bind(std::string_view path) {
  std::error_code ec;
  unix_listener bound = bind(socket_address::unix_socket(path), ec);
  if (ec) detail::fail(ec, ("bind unix:" + std::string(path)).c_str());
  return bound;
}

unix_stream unix_listener::accept(std::error_code& ec) {
  const int fd = backoff_.accept(stream_descriptor(), ec);
  return fd < 0 ? unix_stream() : unix_stream(from_fd, fd);
}
unix_stream unix_listener::accept() {
  std::error_code ec;
  unix_stream accepted = accept(ec);
  throw_if(ec, "accept");
  return accepted;
}

// ---- unix_datagram ----

unix_datagram::unix_datagram(from_fd_t, int fd)
    : descriptor_owner(descriptor_ptr::adopt(fd, descriptor_kind::socket)) {}

unix_datagram unix_datagram::unbound() {
  std::error_code ec;
  descriptor_ptr d = detail::make_socket(AF_UNIX, SOCK_DGRAM, descriptor_kind::socket, ec);
  throw_if(ec, "socket");
  return unix_datagram(std::move(d));
}

unix_datagram unix_datagram::bind(const socket_address& to, std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(AF_UNIX, SOCK_DGRAM, descriptor_kind::socket, ec);
  if (!ec) detail::bind_socket(*d, to, ec);
  return ec ? unix_datagram() : unix_datagram(std::move(d));
}
unix_datagram unix_datagram::bind(std::string_view path) {
  std::error_code ec;
  unix_datagram bound = bind(socket_address::unix_socket(path), ec);
  if (ec) detail::fail(ec, ("bind unix:" + std::string(path)).c_str());
  return bound;
}

std::pair<unix_datagram, unix_datagram> unix_datagram::pair() {
  auto [a, b] = detail::socket_pair(SOCK_DGRAM);
  return {unix_datagram(std::move(a)), unix_datagram(std::move(b))};
}

void unix_datagram::connect(std::string_view path) {
  std::error_code ec = error::closed;
  if (stream_descriptor())
    detail::connect_socket(*stream_descriptor(), socket_address::unix_socket(path), ec);
  throw_if(ec, "connect");
}

std::size_t unix_datagram::send(const_buffer data, std::error_code& ec) {
  return detail::send_with_descriptors(stream_descriptor(), data, {}, nullptr, ec);
}
std::size_t unix_datagram::send(const_buffer data) { return send_descriptors(data, {}); }

std::size_t unix_datagram::recv(mutable_buffer data, std::error_code& ec) {
  std::vector<unique_fd> unwanted;
  return detail::receive_with_descriptors(stream_descriptor(), data, unwanted, nullptr, ec);
}
std::size_t unix_datagram::recv(mutable_buffer data) {
  std::error_code ec;
  const std::size_t n = recv(data, ec);
  throw_if(ec, "recv");
  return n;
}

std::size_t unix_datagram::send_to(const_buffer data, const socket_address& to) {
  std::error_code ec;
  const std::size_t n = detail::send_with_descriptors(stream_descriptor(), data, {}, &to, ec);
  throw_if(ec, "send_to");
  return n;
}
std::size_t unix_datagram::recv_from(mutable_buffer data, socket_address& from) {
  std::error_code ec;
  std::vector<unique_fd> unwanted;
  const std::size_t n = detail::receive_with_descriptors(stream_descriptor(), data, unwanted, &from, ec);
  throw_if(ec, "recv_from");
  return n;
}
std::size_t unix_datagram::send_descriptors(const_buffer data, std::span<const int> descriptors) {
  std::error_code ec;
  const std::size_t n = detail::send_with_descriptors(stream_descriptor(), data, descriptors, nullptr, ec);
  throw_if(ec, "send_descriptors");
  return n;
}
std::size_t unix_datagram::receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors) {
  std::error_code ec;
  const std::size_t n = detail::receive_with_descriptors(stream_descriptor(), data, descriptors, nullptr, ec);
  throw_if(ec, "receive_descriptors");
  return n;
}

}  // namespace zsync
