// Counting permits, as std::counting_semaphore and std::binary_semaphore, and a guard for one.
#pragma once

#include <zsync/channel/queue_wait.hpp>
#include <zsync/sched/error.hpp>

#include <chrono>
#include <cstddef>
#include <limits>

namespace zsync {

namespace detail {

// A permit that is released goes to the longest waiting caller, if any, before others can take it.
class semaphore_state {
 public:
  constexpr explicit semaphore_state(std::ptrdiff_t available) noexcept : available_(available) {}
  semaphore_state(const semaphore_state&) = delete;
  semaphore_state& operator=(const semaphore_state&) = delete;
  ~semaphore_state();

  void release(std::ptrdiff_t count, std::ptrdiff_t available_max) noexcept;
  [[nodiscard]] bool try_acquire() noexcept;
  bool acquire(deadline until);

 private:
  spinlock lock_;
  std::ptrdiff_t available_;  // lock_
  wait_queue waiters_;        // lock_; if anybody waits, nothing is available
};

}  // namespace detail

// Any fiber or thread may release a permit, whichever has acquired it. Acquiring is a cancellation point, and
// takes no permit if it ends by an exception or runs out of time.
template <std::ptrdiff_t LeastMaxValue = std::numeric_limits<std::ptrdiff_t>::max()>
class counting_semaphore {
  static_assert(LeastMaxValue >= 0);

 public:
  // 0 <= available <= max(), or the program ends.
  constexpr explicit counting_semaphore(std::ptrdiff_t available) noexcept : state_(available) {
    if (available < 0 || available > LeastMaxValue)
      detail::misuse("a semaphore is made with less than no permit, or with more than its maximum");
  }

  static constexpr std::ptrdiff_t max() noexcept { return LeastMaxValue; }

  // More than max() ends the program.
  void release(std::ptrdiff_t count = 1) noexcept { state_.release(count, LeastMaxValue); }

  void acquire() { state_.acquire(deadline::never()); }
  [[nodiscard]] bool try_acquire() noexcept { return state_.try_acquire(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> at_most) {
    return try_acquire() || try_acquire_until(deadline::after(at_most));
  }
  [[nodiscard]] bool try_acquire_until(deadline until) { return state_.acquire(until); }

 private:
  detail::semaphore_state state_;
};

using binary_semaphore = counting_semaphore<1>;

// Acquires a permit and releases it at the end of its scope, as std::lock_guard does with a lock. The
// constructor waits for one, and throws what acquire() throws: `cancelled`, or the end of a deadline scope.
// No permit is held then. Each fiber or thread makes its own.
template <class Semaphore>
class permit {
 public:
  [[nodiscard]] explicit permit(Semaphore& of) : of_(of) { of_.acquire(); }
  ~permit() { of_.release(); }
  permit(const permit&) = delete;
  permit& operator=(const permit&) = delete;

 private:
  Semaphore& of_;
};

}  // namespace zsync
