// Until when a wait may last.
#pragma once

#include <zsync/timer/clock.hpp>

#include <algorithm>
#include <compare>
#include <type_traits>

namespace zsync {

// A point of the monotonic clock, or never. A value: copy it freely.
class deadline {
 public:
  constexpr deadline() noexcept = default;  // never
  constexpr explicit deadline(clock::time_point at) noexcept : at_(at) {}

  static constexpr deadline never() noexcept { return {}; }
  static constexpr deadline passed() noexcept { return deadline{clock::time_point::min()}; }

  // Saturates: a duration too large for the clock means never.
  template <class Rep, class Period>
  static deadline after(std::chrono::duration<Rep, Period> wait) {
    if (wait <= wait.zero()) return deadline{clock::now()};
    // In floating point, because the conversion below must not overflow.
    const std::chrono::duration<double> seconds = wait;
    if (seconds >= horizon) return never();
    return deadline{clock::now() + std::chrono::ceil<clock::duration>(wait)};
  }

  // A point of another clock is taken by its distance from that clock's present. Points further away than
  // clocks can tell are never, or have passed.
  template <class Clock, class Duration>
  static deadline at(std::chrono::time_point<Clock, Duration> point) {
    if constexpr (std::is_same_v<decltype(point), clock::time_point>) {
      return deadline{point};
    } else {
      const auto now = Clock::now();
      // In floating point, because the difference of the two, or a conversion, may overflow.
      using seconds = std::chrono::duration<double>;
      const seconds distance = seconds{point.time_since_epoch()} - seconds{now.time_since_epoch()};
      if (distance >= horizon) return never();
      if (distance <= -horizon) return passed();
      if constexpr (std::is_same_v<Clock, clock>) return deadline{std::chrono::ceil<clock::duration>(point)};
      return after(point - now);
    }
  }

  [[nodiscard]] constexpr bool is_never() const noexcept { return at_ == clock::time_point::max(); }
  [[nodiscard]] bool has_passed() const noexcept { return !is_never() && at_ <= clock::now(); }
  [[nodiscard]] constexpr clock::time_point time() const noexcept { return at_; }

  // What is left: zero once passed, the longest duration for never.
  [[nodiscard]] clock::duration remaining() const noexcept {
    if (is_never()) return clock::duration::max();
    const auto now = clock::now();
    return at_ <= now ? clock::duration::zero() : at_ - now;
  }

  friend constexpr auto operator<=>(const deadline&, const deadline&) = default;

 private:
  static constexpr std::chrono::hours horizon{24 * 365 * 100};

  clock::time_point at_ = clock::time_point::max();
};

// The earlier of the two: of nested deadlines the tightest wins.
constexpr deadline tightest(deadline a, deadline b) noexcept { return std::min(a, b); }

}  // namespace zsync
