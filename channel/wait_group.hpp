// Waiting until a number of things are done that may still grow, as Go's sync.WaitGroup.
#pragma once

#include <zsync/channel/queue_wait.hpp>
#include <zsync/sched/error.hpp>

#include <chrono>
#include <cstddef>

namespace zsync {

// Any fiber or thread may add, finish and wait; after the count has come back to zero, it can be used again.
// Waiting is a cancellation point. A wait group may be destroyed once every wait has returned, even if the
// call that ended them has not. A count below zero ends the program.
class wait_group {
 public:
  constexpr explicit wait_group(std::ptrdiff_t pending = 0) noexcept : pending_(pending) {
    if (pending < 0) detail::misuse("a wait group is made with less than nothing to wait for");
  }
  wait_group(const wait_group&) = delete;
  wait_group& operator=(const wait_group&) = delete;
  ~wait_group();

  void add(std::ptrdiff_t count = 1) noexcept;
  void done() noexcept { add(-1); }
  void wait() { wait_until(deadline::never()); }

  // False: the time has passed.
  bool wait_until(deadline until);
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> at_most) {
    return pending() == 0 || wait_until(deadline::after(at_most));
  }

  [[nodiscard]] std::ptrdiff_t pending() const noexcept;

 private:
  mutable detail::spinlock lock_;
  std::ptrdiff_t pending_;      // lock_
  detail::wait_queue waiters_;  // lock_
};

}  // namespace zsync
