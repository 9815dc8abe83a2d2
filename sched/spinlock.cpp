#include <zsync/sched/spinlock.hpp>

#include <zsync/fiber/ordering.hpp>

#include <thread>

namespace zsync::detail {
// The holder needs a few instructions, unless its thread has been preempted: then it needs our processor.
void spinlock::lock_contended() noexcept {
  constexpr int spins_max = 64;
  for (int spins = 0;;) {
    while (held_.load(std::memory_order_relaxed)) {
      if (spins < spins_max) {
        ++spins;
        pause_processor();
      } else {
        std::this_thread::yield();
      }
    }
    if (!try_lock()) continue;
    checker::acquire(&held_);  // not seen here, where the unlock may have been
    return;
  }
}

}  // namespace zsync::detail
