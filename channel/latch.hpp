// A count that goes down once, as std::latch.
#pragma once

#include <zsync/channel/queue_wait.hpp>
#include <zsync/sched/error.hpp>

#include <chrono>
#include <cstddef>

namespace zsync {

// Any fiber or thread may count down and wait. Waiting is a cancellation point. A latch may be destroyed once
// every wait has returned, even if the call that ended them has not. Counting below zero, or starting below
// it, ends the program.
class latch {
 public:
  constexpr explicit latch(std::ptrdiff_t expected) noexcept : left_(expected) {
    if (expected < 0) detail::misuse("a latch is made to expect less than nobody");
  }
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;
  ~latch();

  static constexpr std::ptrdiff_t max() noexcept { return PTRDIFF_MAX; }

  void count_down(std::ptrdiff_t by = 1) noexcept;
  [[nodiscard]] bool try_wait() const noexcept;
  void wait() const { wait_until(deadline::never()); }
  void arrive_and_wait(std::ptrdiff_t by = 1);  // a caller that is cancelled has arrived all the same

  // False: the time has passed.
  bool wait_until(deadline until) const;
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> at_most) const {
    return try_wait() || wait_until(deadline::after(at_most));
  }

 private:
  // Read under the lock only, even to look for zero: a caller that has seen zero may destroy the latch.
  mutable detail::spinlock lock_;
  std::ptrdiff_t left_;                 // lock_
  mutable detail::wait_queue waiters_;  // lock_
};

}  // namespace zsync
