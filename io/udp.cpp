#include <zsync/io/portable.hpp>
#include <zsync/io/udp.hpp>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace zsync {
namespace {

using detail::descriptor;
using detail::descriptor_kind;
using detail::descriptor_ptr;
using detail::direction;
using detail::op;
using detail::op_kind;
using detail::perform;
using detail::set_option;
using detail::throw_if;
using detail::wait_kind;

constexpr std::size_t batch_max = 64;

bool usable(const descriptor_ptr& d, std::error_code& ec) noexcept {
  if (d) return true;
  ec = error::closed;
  return false;
}

std::size_t send_now(const descriptor_ptr& d, op& o, std::error_code& ec) {
  ec = perform(*d, o, wait_kind::io_write, d->write_timeout.load(std::memory_order_relaxed));
  return ec ? 0 : static_cast<std::size_t>(o.result);
}

std::size_t receive_now(const descriptor_ptr& d, op& o, std::error_code& ec) {
  ec = perform(*d, o, wait_kind::io_read, d->read_timeout.load(std::memory_order_relaxed));
  return ec ? 0 : static_cast<std::size_t>(o.result);
}

void set_name(msghdr& message, const socket_address& to) noexcept {
  if (to.kind() == socket_address::family::none) return;
  message.msg_name = const_cast<sockaddr*>(to.native());
  message.msg_namelen = to.native_size();
}

// ---- several at once ----

// Room for one number that goes with a message: how large its segments are.
struct alignas(cmsghdr) segment_control {
  std::array<char, CMSG_SPACE(sizeof(int))> bytes;
};

// Too large for a small fiber's stack, together with what the system call of its caller needs.
struct message_batch {
  std::array<detail::counted_message, batch_max> messages{};
  std::array<iovec, batch_max> vectors{};
  std::array<segment_control, batch_max> controls;
  unsigned count = 0;
};

struct named_batch : message_batch {
  std::array<sockaddr_storage, batch_max> names;
};

std::int64_t send_batch(op& o) noexcept {
  auto& b = *static_cast<message_batch*>(o.data);
  return detail::send_messages(o.fd, b.messages.data(), b.count, MSG_DONTWAIT | detail::no_sigpipe);
}

std::int64_t receive_batch(op& o) noexcept {
  auto& b = *static_cast<message_batch*>(o.data);
  return detail::receive_messages(o.fd, b.messages.data(), b.count, MSG_DONTWAIT);
}

// ---- segments ----

constexpr std::size_t offload_max = 65'000;  // bytes of one message that is cut into datagrams

#if defined(UDP_SEGMENT)
void set_segment(msghdr& message, segment_control& control, std::size_t size) noexcept {
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(sizeof(std::uint16_t));
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = IPPROTO_UDP;
  c->cmsg_type = UDP_SEGMENT;
  c->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto segment = static_cast<std::uint16_t>(size);
  std::memcpy(CMSG_DATA(c), &segment, sizeof segment);
}

std::size_t send_offloaded(const descriptor_ptr& d, const_buffer data, std::size_t segment,
                           const socket_address& to, std::error_code& ec) {
  iovec vector{const_cast<std::byte*>(data.data()), data.size()};
  segment_control control;
  msghdr message{};
  set_name(message, to);
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  set_segment(message, control, segment);
  op o(op_kind::send_message, direction::out, &message, 1);
  return send_now(d, o, ec);
}
#endif

// How large the segments are of which the kernel has made this message; 0: it is one datagram.
std::size_t segment_of(msghdr& message) noexcept {
#if defined(UDP_GRO)
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO) continue;
    int size = 0;
    std::memcpy(&size, CMSG_DATA(c), sizeof size);
    return static_cast<std::size_t>(size);
  }
#else
  static_cast<void>(message);
#endif
  return 0;
}

// What says that there is no such offload here, rather than that sending failed.
bool lacks_offload(std::error_code ec) noexcept {
  return ec == std::errc::invalid_argument || ec == std::errc::io_error ||
         ec == std::errc::no_protocol_option || ec == std::errc::operation_not_supported ||
         ec == std::errc::message_size;
}

// How many from `at` on can go as one: of one size, but for the last one, and to one peer.
std::size_t joined(std::span<const outgoing_datagram> all, std::size_t at) noexcept {
  const std::size_t size = all[at].data.size();
  std::size_t total = size;
  std::size_t n = 1;
  while (size != 0 && at + n < all.size()) {
    const outgoing_datagram& next = all[at + n];
    const std::size_t more = next.data.size();
    if (more == 0 || more > size || total + more > offload_max || next.to != all[at].to) break;
    total += more;
    ++n;
    if (more < size) break;
  }
  return n;
}

// At most batch_max of them. How many datagrams went out.
std::size_t send_batches(const descriptor_ptr& d, std::span<const outgoing_datagram> datagrams, bool offload,
                         std::error_code& ec) {
  const auto batch = std::make_unique_for_overwrite<message_batch>();
  message_batch& b = *batch;
  std::array<std::size_t, batch_max> counts;  // datagrams of each message
  for (std::size_t i = 0; i < datagrams.size(); i += counts[b.count++]) {
    const std::size_t n = counts[b.count] = offload ? joined(datagrams, i) : 1;
    for (std::size_t j = i; j < i + n; ++j) {
      b.vectors[j] = {const_cast<std::byte*>(datagrams[j].data.data()), datagrams[j].data.size()};
    }
    msghdr& message = b.messages[b.count].msg_hdr;
    set_name(message, datagrams[i].to);
    message.msg_iov = &b.vectors[i];
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(n);
#if defined(UDP_SEGMENT)
    if (n > 1) set_segment(message, b.controls[b.count], datagrams[i].data.size());
#endif
  }
  op o(&send_batch, direction::out, &b);
  const std::size_t messages = send_now(d, o, ec);
  std::size_t sent = 0;
  for (std::size_t i = 0; i < messages; ++i) sent += counts[i];
  return sent;
}

}  // namespace

udp_socket::udp_socket(from_fd_t, int fd)
    : descriptor_owner(descriptor_ptr::adopt(fd, descriptor_kind::socket)) {}

udp_socket udp_socket::bind(const socket_address& to, const bind_options& options, std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(to.native_family(), SOCK_DGRAM, descriptor_kind::socket, ec);
  if (!ec && options.reuse_address) set_option(d, SOL_SOCKET, SO_REUSEADDR, 1, ec);
  if (!ec && options.reuse_port) set_option(d, SOL_SOCKET, SO_REUSEPORT, 1, ec);
  if (!ec && to.kind() == socket_address::family::v6) {
    set_option(d, IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only ? 1 : 0, ec);
  }
  if (!ec) detail::bind_socket(*d, to, ec);
  return ec ? udp_socket() : udp_socket(std::move(d));
}
udp_socket udp_socket::bind(const socket_address& to, const bind_options& options) {
  std::error_code ec;
  udp_socket bound = bind(to, options, ec);
  if (ec) detail::fail(ec, ("bind " + to.to_string()).c_str());
  return bound;
}

void udp_socket::connect(const socket_address& to, std::error_code& ec) {
  if (usable(stream_descriptor(), ec)) detail::connect_socket(*stream_descriptor(), to, ec);
}
void udp_socket::connect(const socket_address& to) {
  std::error_code ec;
  connect(to, ec);
  throw_if(ec, "connect");
}

udp_socket udp_socket::connected(const socket_address& to) {
  const ip_address any =
      to.kind() == socket_address::family::v6 ? ip_address::any_v6() : ip_address::any_v4();
  udp_socket s = bind({any, 0});
  s.connect(to);
  return s;
}

std::size_t udp_socket::send(const_buffer data, std::error_code& ec) {
  if (!usable(stream_descriptor(), ec)) return 0;
  op o(op_kind::send, direction::out, const_cast<std::byte*>(data.data()), data.size());
  return send_now(stream_descriptor(), o, ec);
}
std::size_t udp_socket::send(const_buffer data) {
  std::error_code ec;
  const std::size_t n = send(data, ec);
  throw_if(ec, "send");
  return n;
}

std::size_t udp_socket::send_to(const_buffer data, const socket_address& to, std::error_code& ec) {
  if (!usable(stream_descriptor(), ec)) return 0;
  iovec vector{const_cast<std::byte*>(data.data()), data.size()};
  msghdr message{};
  set_name(message, to);
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  op o(op_kind::send_to, direction::out, &message, 1);
  return send_now(stream_descriptor(), o, ec);
}
std::size_t udp_socket::send_to(const_buffer data, const socket_address& to) {
  std::error_code ec;
  const std::size_t n = send_to(data, to, ec);
  throw_if(ec, "send_to");
  return n;
}

std::size_t udp_socket::recv(mutable_buffer to, std::error_code& ec) {
  if (!usable(stream_descriptor(), ec)) return 0;
  op o(op_kind::receive, direction::in, to.data(), to.size());
  return receive_now(stream_descriptor(), o, ec);
}
std::size_t udp_socket::recv(mutable_buffer to) {
  std::error_code ec;
  const std::size_t n = recv(to, ec);
  throw_if(ec, "recv");
  return n;
}

std::size_t udp_socket::recv_from(mutable_buffer to, socket_address& from, std::error_code& ec) {
  if (!usable(stream_descriptor(), ec)) return 0;
  iovec vector{to.data(), to.size()};
  sockaddr_storage name;
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof name;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  op o(op_kind::receive_from, direction::in, &message, 1);
  const std::size_t n = receive_now(stream_descriptor(), o, ec);
  if (!ec) from = socket_address::from_native(reinterpret_cast<const sockaddr*>(&name), message.msg_namelen);
  return n;
}
std::size_t udp_socket::recv_from(mutable_buffer to, socket_address& from) {
  std::error_code ec;
  const std::size_t n = recv_from(to, from, ec);
  throw_if(ec, "recv_from");
  return n;
}

std::size_t udp_socket::send_many(std::span<const outgoing_datagram> datagrams, std::error_code& ec) {
  ec.clear();
  if (!usable(stream_descriptor(), ec) || datagrams.empty()) return 0;
  const auto first = datagrams.first(std::min(datagrams.size(), batch_max));
#if defined(UDP_SEGMENT)
  if (joined(first, 0) > 1) {
    const std::size_t n = send_batches(stream_descriptor(), first, true, ec);
    if (!ec || !lacks_offload(ec)) return n;
  }
#endif
  return send_batches(stream_descriptor(), first, false, ec);
}
std::size_t udp_socket::send_many(std::span<const outgoing_datagram> datagrams) {
  std::error_code ec;
  const std::size_t n = send_many(datagrams, ec);
  throw_if(ec, "send_many");
  return n;
}

std::size_t udp_socket::recv_many(std::span<incoming_datagram> datagrams, std::error_code& ec) {
  ec.clear();
  if (!usable(stream_descriptor(), ec) || datagrams.empty()) return 0;
  const auto batch = std::make_unique_for_overwrite<named_batch>();
  named_batch& b = *batch;
  b.count = static_cast<unsigned>(std::min(datagrams.size(), batch_max));
  for (std::size_t i = 0; i < b.count; ++i) {
    b.vectors[i] = {datagrams[i].buffer.data(), datagrams[i].buffer.size()};
    msghdr& message = b.messages[i].msg_hdr;
    message.msg_name = &b.names[i];
    message.msg_namelen = sizeof b.names[i];
    message.msg_iov = &b.vectors[i];
    message.msg_iovlen = 1;
    message.msg_control = b.controls[i].bytes.data();
    message.msg_controllen = b.controls[i].bytes.size();
  }
  op o(&receive_batch, direction::in, static_cast<message_batch*>(&b));
  const std::size_t n = receive_now(stream_descriptor(), o, ec);
  for (std::size_t i = 0; i < n; ++i) {
    msghdr& message = b.messages[i].msg_hdr;
    datagrams[i].segment = segment_of(message);
    datagrams[i].size = static_cast<std::size_t>(b.messages[i].msg_len);
    datagrams[i].truncated = (message.msg_flags & MSG_TRUNC) != 0;
    datagrams[i].from =
        socket_address::from_native(static_cast<const sockaddr*>(message.msg_name), message.msg_namelen);
  }
  return n;
}
std::size_t udp_socket::recv_many(std::span<incoming_datagram> datagrams) {
  std::error_code ec;
  const std::size_t n = recv_many(datagrams, ec);
  throw_if(ec, "recv_many");
  return n;
}

std::size_t udp_socket::send_segments(const_buffer data, std::size_t segment, const socket_address& to,
                                      std::error_code& ec) {
  ec.clear();
  if (!usable(stream_descriptor(), ec) || data.size() == 0) return 0;
  if (segment == 0 || (data.size() + segment - 1) / segment > batch_max) {
    ec = std::make_error_code(std::errc::invalid_argument);
    return 0;
  }
#if defined(UDP_SEGMENT)
  if (data.size() > segment && data.size() <= offload_max) {
    const std::size_t n = send_offloaded(stream_descriptor(), data, segment, to, ec);
    if (!ec || !lacks_offload(ec)) return n;
  }
#endif
  std::vector<outgoing_datagram> pieces;
  pieces.reserve(batch_max);
  for (std::size_t at = 0; at < data.size(); at += segment) {
    pieces.push_back({{data.data() + at, std::min(segment, data.size() - at)}, to});
  }
  std::size_t sent = 0;
  for (std::size_t i = 0; i < pieces.size() && !ec;) {
    const std::size_t n = send_many(std::span(pieces).subspan(i), ec);
    for (std::size_t j = 0; j < n; ++j) sent += pieces[i + j].data.size();
    i += n;
  }
  return sent;
}
std::size_t udp_socket::send_segments(const_buffer data, std::size_t segment, const socket_address& to) {
  std::error_code ec;
  const std::size_t n = send_segments(data, segment, to, ec);
  if (ec) detail::fail_transfer(ec, "send_segments", n);
  return n;
}

// ---- options ----

void udp_socket::set_receive_coalescing(bool on) {
#if defined(UDP_GRO)
  set(IPPROTO_UDP, UDP_GRO, on ? 1 : 0, "set_receive_coalescing");
#else
  if (on) throw_if(std::make_error_code(std::errc::operation_not_supported), "set_receive_coalescing");
#endif
}

bool udp_socket::is_v6() const { return local_address().kind() == socket_address::family::v6; }

void udp_socket::membership(const ip_address& group, unsigned interface_index, bool joins, const char* what) {
  std::error_code ec;
  if (group.is_v6()) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, group.bytes().data(), 16);
    request.ipv6mr_interface = interface_index;
    set_option(stream_descriptor(), IPPROTO_IPV6, joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, &request,
               sizeof request, ec);
  } else {
    ip_mreqn request{};
    std::memcpy(&request.imr_multiaddr, group.bytes().data(), 4);
    request.imr_ifindex = static_cast<int>(interface_index);
    set_option(stream_descriptor(), IPPROTO_IP, joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request,
               sizeof request, ec);
  }
  throw_if(ec, what);
}

void udp_socket::join(const ip_address& group, unsigned interface_index) {
  membership(group, interface_index, true, "join");
}
void udp_socket::leave(const ip_address& group, unsigned interface_index) {
  membership(group, interface_index, false, "leave");
}

void udp_socket::set_multicast_loop(bool on) {
  const bool six = is_v6();
  set(six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, on ? 1 : 0,
      "set_multicast_loop");
}
void udp_socket::set_multicast_ttl(int hops) {
  const bool six = is_v6();
  set(six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, hops,
      "set_multicast_ttl");
}
void udp_socket::set_multicast_interface(unsigned interface_index) {
  if (is_v6()) {
    set(IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface_index), "set_multicast_interface");
    return;
  }
  std::error_code ec;
  ip_mreqn request{};
  request.imr_ifindex = static_cast<int>(interface_index);
  set_option(stream_descriptor(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request, ec);
  throw_if(ec, "set_multicast_interface");
}
void udp_socket::set_broadcast(bool on) { set(SOL_SOCKET, SO_BROADCAST, on ? 1 : 0, "set_broadcast"); }

void udp_socket::set_read_timeout(std::chrono::nanoseconds d) noexcept {
  if (stream_descriptor()) detail::set_timeout(stream_descriptor()->read_timeout, d);
}
void udp_socket::set_write_timeout(std::chrono::nanoseconds d) noexcept {
  if (stream_descriptor()) detail::set_timeout(stream_descriptor()->write_timeout, d);
}

void udp_socket::wait_readable() {
  std::error_code ec;
  detail::wait_ready(stream_descriptor(), direction::in, ec);
  throw_if(ec, "wait_readable");
}

}  // namespace zsync
