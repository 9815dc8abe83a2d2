#include <zsync/io/simulated.hpp>

#include <zsync/io/socket_address.hpp>
#include <zsync/sched/error.hpp>

namespace zsync::detail {

simulated_network* simulated_network::of_thread() noexcept {
  simulator* const here = simulator::of_thread();
  return here != nullptr ? &static_cast<simulated_machine*>(here)->network() : nullptr;
}

simulated_network& simulated_network::of(int) noexcept {
  simulated_network* const here = of_thread();
  if (here == nullptr) misuse("a socket of a simulation is used outside of it");
  return *here;
}

}  // namespace zsync::detail
