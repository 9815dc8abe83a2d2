// Simulated streams. What one end sends arrives in order, late where a segment is lost, and only as much is
// under way as the other end has room for; what it has read is known here as late as all else.
#include <zsync/io/sim/network_stack.hpp>
#include <zsync/io/sim/world.hpp>

#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace zsync::detail::simulated {
namespace {

constexpr clock::duration retransmission = std::chrono::milliseconds{200};
constexpr clock::duration repeated_knock = std::chrono::seconds{1};
constexpr unsigned losses_in_a_row = 5;

bool lingers_for_nothing(const socket& s) noexcept {
  const auto set = s.options.find({SOL_SOCKET, SO_LINGER});
  if (set == s.options.end() || set->second.size() != sizeof(linger)) return false;
  linger l{};
  std::memcpy(&l, set->second.data(), sizeof l);
  return l.l_onoff != 0 && l.l_linger == 0;
}

}  // namespace

// ---- under way ----

// In the order in which `from` sent it: whenever something of a stream arrives, it is what was sent first.
void network_stack::travel(const socket_ptr& from, const char* name,
                           std::function<void(const socket_ptr&)> arrival) {
  link_state& l = *from->over;
  choices& drawn = world_.drawn();
  clock::duration takes = drawn.between(l.latency_min, l.latency_max);
  unsigned lost = 0;
  while (lost < losses_in_a_row && drawn.chance(l.loss)) takes += retransmission * (1U << lost++);
  world_.tell([&] {
    return from->local.to_string() + " -> " + from->peer.to_string() + ": " + name +
           (lost == 0 ? "" : ", lost " + std::to_string(lost) + " times");
  });
  from->last_arrival = std::max(from->last_arrival + clock::duration{1}, world_.now() + takes);
  from->under_way.push_back(std::move(arrival));
  const auto arrives = [from] {
    const auto first = std::move(from->under_way.front());
    from->under_way.pop_front();
    first(from);
  };
  world_.at(from->last_arrival, "a segment arrives", [this, &l, from, arrives] { pass(l, arrives, from); });
}

void network_stack::fail(const socket_ptr& s, int error) {
  if (s->broken || s->closed) return;
  s->broken = true;
  s->connecting = false;
  s->connected = false;
  s->error = error;
  edge(s, true, true, true);
}

// An RST does not wait for what is under way.
void network_stack::reset(const socket_ptr& s) {
  fail(s, ECONNRESET);
  s->broken = true;
  if (const socket_ptr peer = s->other.lock()) reject(peer);
}

void network_stack::reject(const socket_ptr& s) {
  link_state& l = *s->over;
  world_.after(world_.drawn().between(l.latency_min, l.latency_max), "a reset arrives",
               [this, &l, s] { pass(l, [this, s] { fail(s, ECONNRESET); }); });
}

void network_stack::send_end(const socket_ptr& s) {
  if (std::exchange(s->shut_out, true)) return;
  travel(s, "the end", [this](const socket_ptr& from) {
    const socket_ptr peer = from->other.lock();
    if (peer == nullptr || peer->closed) return;
    peer->ended = true;
    edge(peer, true, false, true);
  });
}

// ---- connecting ----

int network_stack::listen(int fd, int backlog) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (s->type != SOCK_STREAM || s->connected || s->connecting) return failed(EINVAL);
  if (!s->bound) return failed(EDESTADDRREQ);
  s->listening = true;
  s->backlog = static_cast<std::size_t>(std::max(backlog, 1));
  return 0;
}

int network_stack::connect_stream(const socket_ptr& s, host_state& there) {
  s->connecting = true;
  s->over = &world_.link(*s->at, there);
  travel(s, "a connection is asked for", [this, &there](const socket_ptr& from) { knock(from, there); });
  return failed(EINPROGRESS);
}

void network_stack::knock(const socket_ptr& s, host_state& there) {
  if (s->closed || !s->connecting) return;
  const socket_ptr listener = bound_to(there, SOCK_STREAM, s->peer);
  if (listener != nullptr && listener->listening && listener->queue.size() > listener->backlog) {
    world_.after(repeated_knock, "a connection is asked for again", [this, s, &there] {
      pass(
          *s->over, [this, s, &there] { knock(s, there); }, s);
    });
    return;
  }
  if (listener == nullptr || !listener->listening) {
    travel(s, "its refusal comes back", [this](const socket_ptr& from) { fail(from, ECONNREFUSED); });
    return;
  }
  const socket_ptr p = answer(s, listener);
  // The answer comes before whatever the new end sends.
  travel(p, "the connection is answered", [this, s](const socket_ptr& from) {
    if (s->closed) return reject(from);
    if (s->broken) return;
    s->connecting = false;
    s->connected = true;
    edge(s, false, true);
  });
}

socket_ptr network_stack::answer(const socket_ptr& s, const socket_ptr& listener) {
  auto p = std::make_shared<socket>();
  p->at = listener->at;
  p->family = s->family;
  p->type = SOCK_STREAM;
  p->local = s->peer;
  p->peer = s->local;
  p->connected = true;
  p->other = s;
  p->over = s->over;
  s->other = p;
  listener->queue.push_back(p);
  edge(listener, true, false);
  return p;
}

int network_stack::connect_path(const socket_ptr& s, const socket_address& to) {
  if (s->connected) return failed(EISCONN);
  const auto place = s->at->bound_paths.find(to.path());
  const socket_ptr listener = place == s->at->bound_paths.end() ? nullptr : place->second.lock();
  if (listener == nullptr) return failed(ENOENT);
  if (!listener->listening) return failed(ECONNREFUSED);
  if (listener->queue.size() > listener->backlog) return failed(EAGAIN);
  s->over = &world_.link(*s->at, *s->at);
  s->peer = to;
  s->connected = true;
  answer(s, listener);
  return 0;
}

int network_stack::accept(int fd, sockaddr* from, socklen_t* size) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  if (!s->listening) return failed(EINVAL);
  if (s->queue.empty()) return failed(EAGAIN);
  if (world_.drawn().chance(s->at->accept_failures)) {
    if (world_.drawn().below(2) == 0) return failed(ENOBUFS);
    reset(s->queue.front());
    s->queue.pop_front();
    return failed(ECONNABORTED);
  }
  const socket_ptr p = s->queue.front();
  const int number = install(p);
  if (number < 0) return -1;
  s->queue.pop_front();
  put_name(p->peer, from, size);
  return number;
}

// ---- bytes ----

ssize_t network_stack::send_stream(const socket_ptr& s, const msghdr& m) {
  if (s->broken || s->shut_out) return failed(EPIPE);
  if (!s->connected) return failed(s->connecting ? EAGAIN : ENOTCONN);
  std::size_t asked = 0;
  for (std::size_t i = 0; i < m.msg_iovlen; ++i) asked += m.msg_iov[i].iov_len;
  if (asked == 0) return 0;
  std::size_t n = std::min(asked, s->room());
  if (n == 0) return failed(EAGAIN);
  if (n > 1 && world_.drawn().chance(s->over->short_writes)) n = 1 + world_.drawn().below(n - 1);
  std::string bytes;
  bytes.reserve(n);
  for (std::size_t i = 0; bytes.size() < n; ++i) {
    const iovec& v = m.msg_iov[i];
    bytes.append(static_cast<const char*>(v.iov_base), std::min(v.iov_len, n - bytes.size()));
  }
  s->unread_there += n;
  travel(s, "data", [this, bytes = std::move(bytes)](const socket_ptr& from) {
    arrive(from, from->other.lock(), bytes);
  });
  return static_cast<ssize_t>(n);
}

void network_stack::arrive(const socket_ptr& from, const socket_ptr& to, std::string_view bytes) {
  // Who has closed answers what still comes with a reset.
  if (to == nullptr || to->closed) return reject(from);
  if (to->broken) return;
  to->data.erase(0, std::exchange(to->read, 0));
  to->data += bytes;
  edge(to, true, false);
  from->brought += bytes.size();
  const std::size_t limit = to->over->reset_after;
  if (limit != 0 && from->brought >= limit) {
    fail(from, ECONNRESET);
    fail(to, ECONNRESET);
  }
}

ssize_t network_stack::receive_stream(const socket_ptr& s, msghdr& m, int flags) {
  const std::size_t n = scatter(std::string_view(s->data).substr(s->read), m);
  if (n == 0) {
    const bool no_room =
        std::all_of(m.msg_iov, m.msg_iov + m.msg_iovlen, [](const iovec& v) { return v.iov_len == 0; });
    if (s->error != 0) return failed(std::exchange(s->error, 0));
    if (s->ended || s->shut_in || s->broken || (no_room && s->unread() != 0)) return 0;
    return failed(s->connected || s->connecting ? EAGAIN : ENOTCONN);
  }
  if ((flags & MSG_PEEK) != 0) return static_cast<ssize_t>(n);
  s->read += n;
  if (const socket_ptr writer = s->other.lock()) {
    const auto takes = world_.drawn().between(s->over->latency_min, s->over->latency_max);
    link_state& l = *s->over;
    world_.after(takes, "the window opens", [this, &l, writer, n] {
      pass(l, [this, writer, n] {
        writer->unread_there -= n;
        if (writer->room() != 0) edge(writer, false, true);
      });
    });
  }
  return static_cast<ssize_t>(n);
}

// ---- ends ----

int network_stack::shut_down(int fd, int how) noexcept {
  const socket_ptr s = find(fd);
  if (s == nullptr) return failed(EBADF);
  const bool in = how == SHUT_RD || how == SHUT_RDWR;
  const bool out = how == SHUT_WR || how == SHUT_RDWR;
  if (in) s->shut_in = true;
  const bool works = s->connected || s->listening || s->type == SOCK_DGRAM;
  if (in) s->listening = false;
  if (s->connecting) fail(s, ECONNABORTED);
  if (out && s->connected) send_end(s);
  // Whoever waits hears of it even where there is no connection to shut down.
  edge(s, in, out, true);
  return works ? 0 : failed(ENOTCONN);
}

// The number is gone; what is under way goes on.
void network_stack::finish(const socket_ptr& s) {
  for (const socket_ptr& waiting : std::exchange(s->queue, {})) reset(waiting);
  if (!s->connected || s->broken) return;
  if (s->unread() != 0 || lingers_for_nothing(*s)) return reset(s);
  send_end(s);
}

}  // namespace zsync::detail::simulated
