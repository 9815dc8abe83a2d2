#include <zsync/sched/simulator.hpp>

#include <zsync/sched/error.hpp>

namespace zsync::detail {
namespace {

thread_local constinit simulator* running = nullptr;

}  // namespace

simulator::simulator() noexcept {
  if (running != nullptr) misuse("a simulation begins within another");
  running = this;
  set_time_source(this);
}

void simulator::let_go() noexcept {
  if (running != this) return;
  running = nullptr;
  set_time_source(nullptr);
}

simulator* simulator::of_thread() noexcept { return running; }

}  // namespace zsync::detail
