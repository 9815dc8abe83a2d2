#include <zsync/channel/interval.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/this_fiber.hpp>

namespace zsync {

interval::interval(clock::duration period, missed_tick policy) : period_(period), policy_(policy) {
  if (period <= period.zero()) detail::misuse("an interval needs a period");
  reset();
}

clock::time_point interval::tick() {
  const clock::time_point due = due_;
  this_fiber::sleep_until(due);  // also if it has passed: that gives a turn, and is a cancellation point
  due_ = after_tick(clock::now());
  return due;
}

clock::time_point interval::after_tick(clock::time_point now) const noexcept {
  const clock::time_point next = detail::saturated_sum(due_, period_);
  if (next > now) return next;  // nothing was missed
  switch (policy_) {
    case missed_tick::burst:
      return next;
    case missed_tick::delay:
      return detail::saturated_sum(now, period_);
    case missed_tick::skip:
      return detail::saturated_sum(next + (now - next) / period_ * period_, period_);
  }
  return next;
}

}  // namespace zsync
