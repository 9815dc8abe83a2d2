#include <zsync/io/sim/network.hpp>

#include <zsync/io/sim/world.hpp>

#include <algorithm>

namespace zsync::sim {

using zsync::detail::simulated::world;

std::string_view host::name() const noexcept { return state_->name; }
ip_address host::address() const noexcept { return state_->ip; }
zsync::detail::executor& host::runtime_() const noexcept { return *state_->runs; }

const host& host::descriptors_max(std::size_t n) const noexcept {
  state_->descriptors_max = n;
  return *this;
}

const host& host::accept_failures(double probability) const noexcept {
  state_->accept_failures = probability;
  return *this;
}

host add_host(std::string_view name) { return host(world::of_thread().add_host(name)); }
host here() { return host(world::of_thread().here()); }

link between(const host& a, const host& b) { return link(world::of_thread().link(*a.state_, *b.state_)); }

const link& link::latency(std::chrono::nanoseconds min, std::chrono::nanoseconds max) const noexcept {
  state_->latency_min = min;
  state_->latency_max = std::max(min, max);
  return *this;
}

const link& link::loss(double probability) const noexcept {
  state_->loss = probability;
  return *this;
}

const link& link::duplicates(double probability) const noexcept {
  state_->duplicates = probability;
  return *this;
}

const link& link::window(std::size_t bytes) const noexcept {
  state_->window = std::max<std::size_t>(bytes, 1);
  return *this;
}

const link& link::short_writes(double probability) const noexcept {
  state_->short_writes = probability;
  return *this;
}

const link& link::reset_after(std::size_t bytes) const noexcept {
  state_->reset_after = bytes;
  return *this;
}

const link& link::cut(std::chrono::nanoseconds patience) const noexcept {
  state_->cut = true;
  state_->patience = patience;
  return *this;
}

const link& link::mend() const noexcept {
  world::of_thread().sockets().mend(*state_);
  return *this;
}

}  // namespace zsync::sim
