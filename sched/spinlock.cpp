#include <zsync/sched/spinlock.hpp>

namespace zsync::detail {
namespace {

void pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

// The holder needs a few instructions, unless its thread has been preempted: then it needs our processor.
void spinlock::lock_contended() noexcept {
  constexpr int spins_max = 64;
  for (int spins = 0;; ++spins) {
    while (held_.load(std::memory_order_relaxed)) {
      if (++spins < spins_max) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
    if (try_lock()) return;
  }
}

}  // namespace zsync::detail
