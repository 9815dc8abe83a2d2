// The hosts of a simulation, and what lies between them. To be used within sim::run() only.
#pragma once

#include <zsync/io/socket_address.hpp>
#include <zsync/sched/runtime.hpp>

#include <chrono>
#include <cstddef>
#include <string_view>

namespace zsync::detail::simulated {
struct host_state;
struct link_state;
}  // namespace zsync::detail::simulated

namespace zsync::sim {

class link;

// A machine with workers, one address (10.0.0.1 and on) beside the loopback's, and a name that resolves to
// it. Lives until the run ends. Copies are the same host.
class host {
 public:
  explicit host(zsync::detail::simulated::host_state& state) noexcept : state_(&state) {}

  // A fiber there; as zsync::spawn() in all else. What a fiber spawns stays on its host.
  template <class F, class... Args>
  [[nodiscard]] auto spawn(F&& f, Args&&... args) const {
    return runtime_().spawn(std::forward<F>(f), std::forward<Args>(args)...);
  }

  [[nodiscard]] std::string_view name() const noexcept;
  [[nodiscard]] ip_address address() const noexcept;

  // How many sockets may be open there; one more is EMFILE.
  const host& descriptors_max(std::size_t n) const noexcept;
  // How probable it is that an accept() fails: the connection was aborted, or there is no memory for it now.
  const host& accept_failures(double probability) const noexcept;

 private:
  friend link between(const host& a, const host& b);
  [[nodiscard]] zsync::detail::executor& runtime_() const noexcept;

  zsync::detail::simulated::host_state* state_;
};

// Throws std::invalid_argument if there is a host of that name.
host add_host(std::string_view name);

// The calling fiber's.
host here();

// What lies between two hosts, in both directions, or from a host to itself. At first: a latency of 10 to 100
// microseconds (of 0 to 5 to itself), room for 64 KiB, and no faults. Changes hold for what is sent from then
// on.
class link {
 public:
  explicit link(zsync::detail::simulated::link_state& state) noexcept : state_(&state) {}

  // What is sent arrives after that long, drawn anew each time: datagrams may overtake each other.
  const link& latency(std::chrono::nanoseconds min, std::chrono::nanoseconds max) const noexcept;
  // Probabilities. A lost segment of a stream arrives late, after 200 ms or a multiple; a datagram never.
  const link& loss(double probability) const noexcept;
  const link& duplicates(double probability) const noexcept;  // of datagrams
  // How many bytes a stream takes before its reader has read any; at least 1.
  const link& window(std::size_t bytes) const noexcept;
  // How probable it is that a stream takes only a part of what it has room for.
  const link& short_writes(double probability) const noexcept;
  // A stream that has brought this many bytes, counted for each direction, is reset.
  const link& reset_after(std::size_t bytes) const noexcept;

  // Nothing comes through: datagrams are lost, streams wait. mend() lets through what waited; a stream that
  // waited for longer than `patience` has failed with errc::timed_out.
  const link& cut(std::chrono::nanoseconds patience = std::chrono::minutes{2}) const noexcept;
  const link& mend() const noexcept;

 private:
  zsync::detail::simulated::link_state* state_;
};

link between(const host& a, const host& b);

}  // namespace zsync::sim
