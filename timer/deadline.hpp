// Until when a wait may last.
#pragma once

#include <zsync/timer/clock.hpp>

#include <algorithm>
#include <compare>
#include <type_traits>

namespace zsync {

namespace detail {

// Further away than this counts as never, or as long ago.
inline constexpr std::chrono::hours horizon{24 * 365 * 100};

// As the clock counts, rounded up, so that nothing is early. What is beyond the horizon, and what is not a
// number, is the longest duration there is.
template <class Rep, class Period>
constexpr clock::duration saturated(std::chrono::duration<Rep, Period> d) {
  // In floating point, because the conversion below must not overflow.
  const std::chrono::duration<double> seconds = d;
  if (seconds <= -horizon) return clock::duration::min();
  if (!(seconds < horizon)) return clock::duration::max();  // this way round for what is not a number
  return std::chrono::ceil<clock::duration>(d);
}

// Where the clock ends, so does the sum. `d` is not negative.
constexpr clock::time_point saturated_sum(clock::time_point point, clock::duration d) noexcept {
  return d < clock::time_point::max() - point ? point + d : clock::time_point::max();
}

}  // namespace detail

// A point of the monotonic clock, or never. A value: copy it freely. Calls that wait until a deadline take a
// point of any clock as well: it is converted as by at().
class deadline {
 public:
  constexpr deadline() noexcept = default;                              // never
  constexpr deadline(clock::time_point point) noexcept : at_(point) {}  // NOLINT: implicit
  template <class Clock, class Duration>
  deadline(std::chrono::time_point<Clock, Duration> point) : deadline(at(point)) {}  // NOLINT: implicit

  static constexpr deadline never() noexcept { return {}; }
  static constexpr deadline passed() noexcept { return deadline{clock::time_point::min()}; }

  // Saturates: a duration too large for the clock means never, and so does one that is not a number, because
  // nothing is ever early.
  template <class Rep, class Period>
  static deadline after(std::chrono::duration<Rep, Period> wait) {
    if (wait <= wait.zero()) return deadline{clock::now()};
    const clock::duration d = detail::saturated(wait);
    return d == clock::duration::max() ? never() : deadline{detail::saturated_sum(clock::now(), d)};
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
      if (distance <= -detail::horizon) return passed();
      if (!(distance < detail::horizon)) return never();
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
  clock::time_point at_ = clock::time_point::max();
};

// The earlier of the two: of nested deadlines the tightest wins.
constexpr deadline tightest(deadline a, deadline b) noexcept { return std::min(a, b); }

}  // namespace zsync
