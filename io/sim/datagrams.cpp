// Simulated datagrams: lost, doubled, and overtaking each other as the link between two hosts has it.
#include <zsync/io/sim/network_stack.hpp>
#include <zsync/io/sim/world.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zsync::detail::simulated {
namespace {

constexpr std::size_t size_max = 65'507;                 // of a UDP datagram over IPv4
constexpr std::size_t queue_max = std::size_t{212'992};  // bytes that wait to be read, as Linux has it

}  // namespace

ssize_t network_stack::send_datagram(const socket_ptr& s, const msghdr& m) {
  const socket_address to =
      m.msg_name != nullptr
          ? socket_address::from_native(static_cast<const sockaddr*>(m.msg_name), m.msg_namelen)
          : s->peer;
  if (!to.is_ip()) return failed(EDESTADDRREQ);
  if (to.native_family() != s->family) return failed(EAFNOSUPPORT);
  host_state* const there = owner_of(*s->at, to.ip());
  if (there == nullptr) return failed(ENETUNREACH);
  if (!s->bound && bind_to(s, {s->family == AF_INET6 ? ip_address::any_v6() : ip_address::any_v4(), 0}) != 0)
    return -1;
  std::string bytes;
  for (std::size_t i = 0; i < m.msg_iovlen; ++i)
    bytes.append(static_cast<const char*>(m.msg_iov[i].iov_base), m.msg_iov[i].iov_len);
  if (bytes.size() > size_max) return failed(EMSGSIZE);
  link_state& l = world_.link(*s->at, *there);
  choices& drawn = world_.drawn();
  const unsigned copies = drawn.chance(l.loss) ? 0 : drawn.chance(l.duplicates) ? 2 : 1;
  world_.tell([&] {
    return "datagram " + s->local.to_string() + " -> " + to.to_string() + ", " +
           std::to_string(bytes.size()) + " bytes" +
           (copies == 0   ? ": lost"
            : copies == 2 ? ": doubled"
                          : "");
  });
  for (unsigned i = 0; i < copies; ++i) {
    world_.after(drawn.between(l.latency_min, l.latency_max), "a datagram arrives",
                 [this, &l, s, there, to, bytes] {
                   if (!l.cut) deliver(s, *there, to, bytes);
                 });
  }
  return static_cast<ssize_t>(bytes.size());
}

void network_stack::deliver(const socket_ptr& from, host_state& there, const socket_address& to,
                            std::string bytes) {
  // What the sender is called where this arrives.
  ip_address sender = from->local.ip();
  if (sender.is_unspecified()) sender = to.ip().is_loopback() ? to.ip() : from->at->ip;
  const socket_address name(sender, from->local.port());
  const socket_ptr s = bound_to(there, SOCK_DGRAM, to);
  if (s == nullptr) {
    // Only who is connected hears of it.
    if (!from->peer.is_ip()) return;
    link_state& l = world_.link(*from->at, there);
    world_.after(world_.drawn().between(l.latency_min, l.latency_max), "a datagram is refused",
                 [this, &l, from] {
                   if (l.cut || from->closed) return;
                   from->error = ECONNREFUSED;
                   edge(from, true, true);
                 });
    return;
  }
  if (s->peer.is_ip() && s->peer != name) return;
  if (s->datagram_bytes + bytes.size() > queue_max) return;
  s->datagram_bytes += bytes.size();
  s->datagrams.push_back({name, std::move(bytes)});
  edge(s, true, false);
}

ssize_t network_stack::receive_datagram(const socket_ptr& s, msghdr& m, int flags) {
  if (s->error != 0) return failed(std::exchange(s->error, 0));
  if (s->datagrams.empty()) {
    if (!s->shut_in) return failed(EAGAIN);
    m.msg_namelen = 0;
    return 0;
  }
  const datagram& d = s->datagrams.front();
  const std::size_t n = scatter(d.bytes, m);
  put_name(d.from, static_cast<sockaddr*>(m.msg_name), &m.msg_namelen);
  const std::size_t whole = d.bytes.size();
  if (n < whole) m.msg_flags |= MSG_TRUNC;
  if ((flags & MSG_PEEK) == 0) {
    s->datagram_bytes -= whole;
    s->datagrams.pop_front();
  }
  return static_cast<ssize_t>((flags & MSG_TRUNC) != 0 ? whole : n);
}

}  // namespace zsync::detail::simulated
