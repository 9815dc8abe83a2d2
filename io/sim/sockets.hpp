// The state of the simulated network: hosts, links, sockets. Data, and what needs nothing else.
//
// A stream socket:
//   fresh --connect()--> connecting --answer--> connected --FIN or RST, close()--> (forgotten with its last
//   event)
//     \--listen()--> listening --arrival--> a connected one in its queue
#pragma once

#include <zsync/io/simulated.hpp>
#include <zsync/io/socket_address.hpp>
#include <zsync/timer/clock.hpp>

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace zsync::detail {
class executor;
class scheduler;
}  // namespace zsync::detail

namespace zsync::detail::simulated {

struct socket;
using socket_ptr = std::shared_ptr<socket>;

// Whoever is told when a socket becomes ready: an engine.
class watcher {
 public:
  virtual void became_ready(const socket_ptr& s, bool in, bool out, bool ended) = 0;

 protected:
  ~watcher() = default;
};

struct held_arrival {
  std::function<void()> happens;
  socket_ptr on_failure;  // who fails if that takes too long
};

struct link_state {
  clock::duration latency_min = std::chrono::microseconds{10};
  clock::duration latency_max = std::chrono::microseconds{100};
  double loss = 0;
  double duplicates = 0;
  double short_writes = 0;
  std::size_t window = std::size_t{64} * 1024;
  std::size_t reset_after = 0;  // 0: never
  bool cut = false;
  clock::duration patience{0};
  std::vector<held_arrival> held;  // what waits for its mending, in order
  std::uint64_t mendings = 0;
};

struct host_state {
  std::string name;
  ip_address ip;
  std::shared_ptr<executor> runs;  // whose destructor is its own affair
  scheduler* workers = nullptr;
  std::size_t descriptors = 0;
  std::size_t descriptors_max = 1 << 20;
  double accept_failures = 0;
  unsigned next_port = 0;
  // Who is bound, by the socket's type and port; several with SO_REUSEPORT.
  std::map<std::pair<int, std::uint16_t>, std::vector<std::weak_ptr<socket>>> bound;
  std::map<std::string, std::weak_ptr<socket>, std::less<>> bound_paths;
};

struct datagram {
  socket_address from;
  std::string bytes;
};

struct socket {
  host_state* at = nullptr;
  int fd = -1;  // -1: not accepted yet, or closed
  int family = 0;
  int type = 0;
  socket_address local, peer;
  bool bound = false;
  ip_address bound_ip;  // what bind() was told; `local` may know better later
  bool listening = false;
  bool connecting = false;
  bool connected = false;
  bool closed = false;
  int error = 0;  // SO_ERROR: reported once

  // Streams.
  std::string data;      // arrived
  std::size_t read = 0;  // how much of it has been read
  bool ended = false;    // the peer's FIN has arrived
  bool broken = false;   // reset, by either side
  bool shut_in = false;
  bool shut_out = false;  // our FIN is on its way
  std::weak_ptr<socket> other;
  link_state* over = nullptr;
  std::size_t unread_there = 0;  // sent, and not known to be read
  std::size_t brought = 0;       // of that, what has arrived
  // What this has sent and has not arrived, in order; each is told who sent it.
  std::deque<std::function<void(const socket_ptr&)>> under_way;
  clock::time_point last_arrival{};  // of these

  // Listeners.
  std::deque<socket_ptr> queue;
  std::size_t backlog = 0;

  std::deque<datagram> datagrams;
  std::size_t datagram_bytes = 0;

  std::map<std::pair<int, int>, std::string> options;
  std::vector<watcher*> watchers;  // each once

  [[nodiscard]] std::size_t unread() const noexcept { return data.size() - read; }
  [[nodiscard]] std::size_t room() const noexcept {
    return over == nullptr || unread_there >= over->window ? 0 : over->window - unread_there;
  }
  [[nodiscard]] short ready() const noexcept;  // all of POLLIN, POLLOUT, POLLERR, POLLHUP that hold
};

}  // namespace zsync::detail::simulated
