// The one clock of the library: monotonic, in nanoseconds.
#pragma once

#include <chrono>

namespace zsync {

// Meets the standard's TrivialClock. Wall-clock changes do not move it. Within a simulation it shows the
// simulated time, because a thread may install a time source of its own.
struct clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<clock>;
  static constexpr bool is_steady = true;

  static time_point now() noexcept;
};

namespace detail {

struct time_source {
  virtual clock::time_point now() noexcept = 0;

 protected:
  ~time_source() = default;
};

// Replaces the time of the calling thread, until it is called again with nullptr. Returns the former one.
time_source* set_time_source(time_source* source) noexcept;

}  // namespace detail
}  // namespace zsync
