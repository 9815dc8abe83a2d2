#include <zsync/sched/stack_tidying.hpp>

namespace zsync::detail {

// Relaxed: the time is all that workers tell each other here, and the pool has a lock of its own.
bool stack_tidying::step(clock::time_point now, deadline& until) noexcept {
  clock::rep from = returning_from_.load(std::memory_order_relaxed);
  if (from == 0) {
    const clock::rep next = (now + period).time_since_epoch().count();
    if (returning_from_.compare_exchange_strong(from, next, std::memory_order_relaxed)) {
      pool_.begin_period();
      from = next;
    }
  }
  const clock::time_point begins{clock::duration{from}};
  if (now < begins) {
    until = tightest(until, deadline::at(begins));
    return false;
  }
  if (pool_.return_unused(at_once)) return true;
  returning_from_.compare_exchange_strong(from, 0, std::memory_order_relaxed);
  return false;
}

}  // namespace zsync::detail
