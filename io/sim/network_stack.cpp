// Numbers, names and options of simulated sockets, and what is the same for streams and datagrams.
#include <zsync/io/sim/network_stack.hpp>

#include <zsync/io/perform.hpp>
#include <zsync/io/sim/world.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/runtime.hpp>

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zsync::detail::simulated {
namespace {

constexpr int first_number = 3;
constexpr unsigned first_port = 32768;  // of those that are given to who asks for none
constexpr unsigned ports = 65536 - first_port;

ip_address any(int family) noexcept {
  return family == AF_INET6 ? ip_address::any_v6() : ip_address::any_v4();
}

}  // namespace

int failed(int error) noexcept {
  errno = error;
  return -1;
}

void put_name(const socket_address& a, sockaddr* name, socklen_t* size) noexcept {
  if (name == nullptr || size == nullptr) return;
  std::memcpy(name, a.native(), std::min(*size, a.native_size()));
  *size = a.native_size();
}

std::size_t scatter(std::string_view bytes, const msghdr& m) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < m.msg_iovlen && n < bytes.size(); ++i) {
    const std::size_t part = std::min(m.msg_iov[i].iov_len, bytes.size() - n);
    if (part != 0) std::memcpy(m.msg_iov[i].iov_base, bytes.data() + n, part);
    n += part;
  }
  return n;
}

short socket::ready() const noexcept {
  unsigned is = 0;
  if (type == SOCK_DGRAM) {
    is = POLLOUT;
    if (!datagrams.empty() || shut_in) is |= POLLIN;
  } else if (listening) {
    if (!queue.empty()) is = POLLIN;
  } else if (connected || broken) {
    if (unread() != 0 || ended || shut_in || broken) is |= POLLIN;
    if (room() != 0 || shut_out || broken) is |= POLLOUT;
    if (broken || (ended && shut_out)) is |= POLLHUP;
  } else if (!connecting) {
    is = POLLOUT | POLLHUP;
  }
  if (error != 0) is |= POLLERR | POLLIN | POLLOUT;
  return static_cast<short>(is);
}

// ---- numbers ----

socket_ptr network_stack::find(int fd) const noexcept {
  if (lent_ != nullptr && fd == lent_fd_) return lent_;
  const auto place = static_cast<std::size_t>(fd & ~simulated_bit);
  return is_simulated(fd) && place < table_.size() ? table_[place] : nullptr;
}

// The lowest free number, so that numbers are reused as soon as they can be.
int network_stack::install(const socket_ptr& s) {
  if (s->at->descriptors >= s->at->descriptors_max) return failed(EMFILE);
  std::size_t place = first_number;
  while (place < table_.size() && table_[place] != nullptr) ++place;
  if (place >= table_.size()) table_.resize(place + 1);
  table_[place] = s;
  ++s->at->descriptors;
  s->fd = static_cast<int>(place) | simulated_bit;
  return s->fd;
}

int network_stack::open(int family, int type) noexcept {
  const bool ip = family == AF_INET || family == AF_INET6;
  if (!ip && !(family == AF_UNIX && type == SOCK_STREAM)) return failed(EAFNOSUPPORT);
  const auto s = std::make_shared<socket>();
  s->at = &world_.here();
  s->family = family;
  s->type = type;
  return install(s);
}

int network_stack::open_pair(int family, int type, int (&ends)[2]) noexcept {
  if (family != AF_UNIX || type != SOCK_STREAM) return failed(EOPNOTSUPP);
  socket_ptr both[2];
  for (int i = 0; i < 2; ++i) {
    ends[i] = open(family, type);
    if (ends[i] < 0) {
      if (i != 0) static_cast<void>(close(ends[0]));
      return -1;
    }
    both[i] = find(ends[i]);
  }
  for (int i = 0; i < 2; ++i) {
    both[i]->connected = true;
    both[i]->other = both[1 - i];
    both[i]->over = &world_.link(*both[i]->at, *both[i]->at);
  }
  return 0;
}

int network_stack::close(int fd) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  table_[static_cast<std::size_t>(fd & ~simulated_bit)].reset();
  --s->at->descriptors;
  s->fd = -1;
  s->closed = true;
  unbind(*s);
  s->watchers.clear();
  if (s->type == SOCK_STREAM) finish(s);
  return 0;
}

// ---- names ----

host_state* network_stack::owner_of(const host_state& from, const ip_address& ip) const noexcept {
  for (const auto& h : world_.hosts()) {
    if (ip == h->ip || ((ip.is_loopback() || ip.is_unspecified()) && h.get() == &from)) return h.get();
  }
  return nullptr;
}

socket_ptr network_stack::bound_to(const host_state& h, int type, const socket_address& to) const {
  const auto place = h.bound.find({type, to.port()});
  if (place == h.bound.end()) return nullptr;
  std::vector<socket_ptr> alive;
  for (const auto& one : place->second) {
    socket_ptr s = one.lock();
    if (s == nullptr || s->closed) continue;
    const ip_address& ip = s->bound_ip;
    if (ip.is_unspecified() || to.ip().is_unspecified() || ip == to.ip()) alive.push_back(std::move(s));
  }
  return alive.empty() ? nullptr : alive[world_.drawn().below(alive.size())];
}

int network_stack::bind_to(const socket_ptr& s, socket_address to) {
  host_state& h = *s->at;
  if (to.kind() == socket_address::family::unix_path) {
    if (s->family != AF_UNIX) return failed(EAFNOSUPPORT);
    const auto [place, fresh] = h.bound_paths.try_emplace(std::string(to.path()), s);
    if (!fresh && !place->second.expired()) return failed(EADDRINUSE);
    place->second = s;
  } else {
    if (owner_of(h, to.ip()) != &h) return failed(EADDRNOTAVAIL);
    if (to.port() == 0) {
      if (!find_port(h, s->type, to)) return failed(EADDRNOTAVAIL);
    } else if (const socket_ptr before = bound_to(h, s->type, to)) {
      const auto shared = [](const socket& one) { return one.options.contains({SOL_SOCKET, SO_REUSEPORT}); };
      if (!shared(*before) || !shared(*s)) return failed(EADDRINUSE);
    }
    h.bound[{s->type, to.port()}].push_back(s);
  }
  s->local = to;
  s->bound_ip = to.ip();
  s->bound = true;
  return 0;
}

bool network_stack::find_port(host_state& h, int type, socket_address& to) const {
  for (unsigned i = 0; i < ports; ++i) {
    to.set_port(static_cast<std::uint16_t>(first_port + (h.next_port++ % ports)));
    if (bound_to(h, type, to) == nullptr) return true;
  }
  return false;
}

void network_stack::unbind(socket& s) noexcept {
  if (!s.bound) return;
  s.bound = false;
  if (s.local.kind() == socket_address::family::unix_path) {
    s.at->bound_paths.erase(std::string(s.local.path()));
    return;
  }
  const auto place = s.at->bound.find({s.type, s.local.port()});
  if (place == s.at->bound.end()) return;
  std::erase_if(place->second, [&s](const auto& one) {
    const socket_ptr p = one.lock();
    return p == nullptr || p.get() == &s;
  });
  if (place->second.empty()) s.at->bound.erase(place);
}

int network_stack::bind(int fd, const sockaddr* to, socklen_t size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (s->bound) return failed(EINVAL);
  return bind_to(s, socket_address::from_native(to, size));
}

int network_stack::own_name(int fd, sockaddr* name, socklen_t* size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  const bool nothing = s->local.kind() == socket_address::family::none && s->family != AF_UNIX;
  put_name(nothing ? socket_address(any(s->family), 0) : s->local, name, size);
  return 0;
}

int network_stack::peer_name(int fd, sockaddr* name, socklen_t* size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (!s->connected && !(s->type == SOCK_DGRAM && s->peer.is_ip())) return failed(ENOTCONN);
  put_name(s->peer, name, size);
  return 0;
}

std::vector<socket_address> network_stack::look_up(std::string_view name, std::error_code& ec) {
  ec = pause(world_.drawn().between(clock::duration{0}, std::chrono::milliseconds{5}));
  if (ec) return {};
  if (name == "localhost") return {{ip_address::loopback_v4(), 0}};
  for (const auto& h : world_.hosts()) {
    if (h->name == name) return {{h->ip, 0}};
  }
  return {};
}

// ---- options ----

int network_stack::get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  const auto is = [&](int figure) {
    std::memcpy(value, &figure, std::min<std::size_t>(*size, sizeof figure));
    *size = sizeof figure;
    return 0;
  };
  if (level == SOL_SOCKET && name == SO_ERROR) return is(std::exchange(s->error, 0));
  if (level == SOL_SOCKET && name == SO_TYPE) return is(s->type);
  if (level == SOL_SOCKET && name == SO_ACCEPTCONN) return is(s->listening ? 1 : 0);
#if defined(SO_DOMAIN)
  if (level == SOL_SOCKET && name == SO_DOMAIN) return is(s->family);
#endif
  const auto set = s->options.find({level, name});
  if (set == s->options.end()) return is(0);
  std::memcpy(value, set->second.data(), std::min<std::size_t>(*size, set->second.size()));
  *size = static_cast<socklen_t>(set->second.size());
  return 0;
}

int network_stack::set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (level != SOL_SOCKET && level != IPPROTO_TCP && level != IPPROTO_IPV6) return failed(ENOPROTOOPT);
  std::string& kept = s->options[{level, name}];
  kept.assign(static_cast<const char*>(value), size);
  // Off is as never set.
  if (kept.find_first_not_of('\0') == kept.npos) s->options.erase({level, name});
  return 0;
}

// ---- calls for both kinds ----

short network_stack::ready(int fd, short events) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return POLLNVAL;
  return static_cast<short>(s->ready() & (events | POLLERR | POLLHUP));
}

int network_stack::connect(int fd, const sockaddr* to, socklen_t size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  const socket_address there = socket_address::from_native(to, size);
  if (there.native_family() != s->family) return failed(EAFNOSUPPORT);
  if (s->family == AF_UNIX) return connect_path(s, there);
  host_state* const h = owner_of(*s->at, there.ip());
  if (s->type == SOCK_STREAM && s->connecting) return failed(EALREADY);
  if (s->type == SOCK_STREAM && (s->connected || s->broken)) return failed(EISCONN);
  if (h == nullptr) return failed(ENETUNREACH);
  if (!s->bound && bind_to(s, {any(s->family), 0}) != 0) return -1;
  // From now on it is known where this end is.
  const std::uint16_t port = s->local.port();
  s->local = {h == s->at && there.ip() != h->ip ? there.ip() : s->at->ip, port};
  s->peer = there;
  return s->type == SOCK_DGRAM ? 0 : connect_stream(s, *h);
}

ssize_t network_stack::send(int fd, const msghdr& m, int) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (m.msg_controllen != 0) return failed(EINVAL);
  if (s->error != 0) return failed(std::exchange(s->error, 0));
  return s->type == SOCK_DGRAM ? send_datagram(s, m) : send_stream(s, m);
}

ssize_t network_stack::receive(int fd, msghdr& m, int flags) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  m.msg_flags = 0;
  m.msg_controllen = 0;
  return s->type == SOCK_DGRAM ? receive_datagram(s, m, flags) : receive_stream(s, m, flags);
}

// ---- events ----

void network_stack::edge(const socket_ptr& s, bool in, bool out, bool ended) {
  // A watcher may come or go while one is told.
  const std::vector<watcher*> told = s->watchers;
  for (watcher* const w : told) w->became_ready(s, in, out, ended);
}

void network_stack::pass(link_state& l, std::function<void()> arrival, const socket_ptr& on_failure) {
  if (!l.cut) return arrival();
  world_.tell([] { return "and is held, for the link is cut"; });
  if (on_failure != nullptr) {
    world_.after(l.patience, "patience with a cut link ends", [this, &l, on_failure, mendings = l.mendings] {
      if (l.cut && l.mendings == mendings) fail(on_failure, ETIMEDOUT);
    });
  }
  l.held.push_back({std::move(arrival), on_failure});
}

void network_stack::mend(link_state& l) {
  if (!std::exchange(l.cut, false)) return;
  ++l.mendings;
  clock::time_point when = world_.now();
  for (held_arrival& one : std::exchange(l.held, {})) {
    when += clock::duration{1} + world_.drawn().between(l.latency_min, l.latency_max);
    world_.at(when, "what was held by a cut link arrives",
              [this, &l, one = std::move(one)] { pass(l, one.happens, one.on_failure); });
  }
}

}  // namespace zsync::detail::simulated
