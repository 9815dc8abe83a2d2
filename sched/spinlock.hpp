// The lock that guards a wait queue: held for a few instructions, never across a switch.
#pragma once

#include <zsync/fiber/atomic.hpp>

namespace zsync::detail {

// Tells the processor that this is a spinning loop.
inline void pause_processor() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// One atomic operation to lock, a plain store to unlock. Meets the standard's Lockable.
class spinlock {
 public:
  void lock() noexcept {
    if (!held_.exchange(true, std::memory_order_acquire)) [[likely]]
      return;
    lock_contended();
  }
  bool try_lock() noexcept { return !held_.exchange(true, std::memory_order_acquire); }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  void lock_contended() noexcept;

  atomic<bool> held_{false};
};

}  // namespace zsync::detail
