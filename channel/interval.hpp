// Doing something at regular times.
#pragma once

#include <zsync/timer/clock.hpp>
#include <zsync/timer/deadline.hpp>

#include <chrono>
#include <cstdint>

namespace zsync {

// What becomes of ticks that were due while nobody waited for them.
enum class missed_tick : std::uint8_t {
  burst,  // they follow at once, one after the other, until the schedule is met again: none is lost
  delay,  // they are lost; the next one comes a whole period after the late one, and the rest in its wake
  skip,   // they are lost; the next one comes at the next time of the old schedule
};

// The first tick is due one period after the construction. One fiber or thread at a time.
class interval {
 public:
  // A period of zero or less ends the program. With one too large for the clock, or that is not a number,
  // there is never a tick.
  template <class Rep, class Period>
  explicit interval(std::chrono::duration<Rep, Period> period, missed_tick policy = missed_tick::burst)
      : interval(detail::saturated(period), policy) {}
  explicit interval(clock::duration period, missed_tick policy = missed_tick::burst);

  // Waits for the next tick, never less. Returns when it was due. A cancellation point; a tick whose wait was
  // cancelled or timed out is still to come.
  clock::time_point tick();

  // The next tick comes one period from now.
  void reset() noexcept { due_ = detail::saturated_sum(clock::now(), period_); }

  [[nodiscard]] clock::duration period() const noexcept { return period_; }

 private:
  clock::time_point after_tick(clock::time_point now) const noexcept;

  clock::duration period_;
  missed_tick policy_;
  clock::time_point due_;
};

}  // namespace zsync
