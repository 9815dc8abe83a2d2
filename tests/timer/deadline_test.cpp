#include <zsync/timer/deadline.hpp>

#include "support/catch.hpp"
#include "support/stopped_clock.hpp"

#include <limits>

using namespace std::chrono_literals;
using zsync::deadline;
using zsync::tightest;
using zsync::test::stopped_clock;

namespace {

constexpr zsync::clock::time_point an_hour{1h};  // so that there is something before it
constexpr auto a_hundred_years = std::chrono::hours{24 * 365 * 100};

}  // namespace

TEST_CASE("a deadline that was given no time never passes", "[timer]") {
  CHECK(deadline{}.is_never());
  CHECK(deadline::never() == deadline{});
  CHECK_FALSE(deadline::never().has_passed());
  CHECK(deadline::never().remaining() == zsync::clock::duration::max());
}

TEST_CASE("a deadline passes at its time and not before", "[timer]") {
  stopped_clock time(an_hour);
  const deadline soon = deadline::after(10ns);
  time.at += 9ns;
  CHECK_FALSE(soon.has_passed());
  CHECK(soon.remaining() == 1ns);
  time.at += 1ns;
  CHECK(soon.has_passed());
  CHECK(soon.remaining() == 0ns);
}

TEST_CASE("durations are rounded up to nanoseconds, so that nothing is early", "[timer]") {
  stopped_clock time(an_hour);
  const std::chrono::duration<std::int64_t, std::pico> picoseconds{1001};
  CHECK(deadline::after(picoseconds).remaining() == 2ns);
  CHECK(deadline::after(std::chrono::duration<double>(1.5e-9)).remaining() == 2ns);
}

TEST_CASE("zero and negative durations have passed at once", "[timer]") {
  stopped_clock time(an_hour);
  CHECK(deadline::after(0s).has_passed());
  CHECK(deadline::after(-1h).has_passed());
  CHECK(deadline::after(zsync::clock::duration::min()).has_passed());
  CHECK(deadline::after(std::chrono::hours::min()).has_passed());
  CHECK(deadline::passed().has_passed());
}

TEST_CASE("durations too large for the clock mean never", "[timer]") {
  CHECK(deadline::after(zsync::clock::duration::max()).is_never());
  CHECK(deadline::after(std::chrono::hours::max()).is_never());
  CHECK(deadline::after(std::chrono::duration<double>(1e300)).is_never());
  CHECK(deadline::after(std::chrono::duration<double>(std::numeric_limits<double>::infinity())).is_never());
  CHECK(deadline::after(a_hundred_years).is_never());
  CHECK_FALSE(deadline::after(a_hundred_years / 2).is_never());
}

TEST_CASE("what is not a number means never, because nothing is early", "[timer]") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  using seconds = std::chrono::duration<double>;
  CHECK(deadline::after(seconds(nan)).is_never());
  CHECK(deadline::at(std::chrono::time_point<zsync::clock, seconds>(seconds(nan))).is_never());
  CHECK(deadline::at(std::chrono::time_point<std::chrono::system_clock, seconds>(seconds(nan))).is_never());
}

TEST_CASE("durations and sums that the clock cannot hold stop at its ends", "[timer]") {
  using zsync::clock;
  using zsync::detail::saturated;
  using zsync::detail::saturated_sum;
  CHECK(saturated(std::chrono::hours::max()) == clock::duration::max());
  CHECK(saturated(std::chrono::hours::min()) == clock::duration::min());
  CHECK(saturated(std::chrono::duration<double>(1.5e-9)) == 2ns);
  CHECK(saturated(-3s) == -3s);
  CHECK(saturated_sum(clock::time_point{1s}, 2s) == clock::time_point{3s});
  CHECK(saturated_sum(clock::time_point{1s}, clock::duration::max()) == clock::time_point::max());
  CHECK(saturated_sum(clock::time_point::max() - 2ns, 1ns) == clock::time_point::max() - 1ns);
  CHECK(saturated_sum(clock::time_point::max(), 0ns) == clock::time_point::max());
}

TEST_CASE("points of other clocks are taken by their distance from now", "[timer]") {
  stopped_clock time(an_hour);
  const deadline later = deadline::at(std::chrono::system_clock::now() + 10s);
  CHECK(later.remaining() > 9s);
  CHECK(later.remaining() <= 10s);
  CHECK(deadline::at(std::chrono::system_clock::now() - 10s).has_passed());
}

// The distance from now to the end of another clock's time, and even more to its beginning, is larger than
// what a duration holds: computed naively it wraps, and "long ago" becomes "never".
TEST_CASE("the first and the last point of any clock are long ago and never", "[timer]") {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  CHECK(deadline::at(system_clock::time_point::max()).is_never());
  CHECK(deadline::at(system_clock::time_point::min()).has_passed());
  CHECK(deadline::at(steady_clock::time_point::max()).is_never());
  CHECK(deadline::at(steady_clock::time_point::min()).has_passed());
  CHECK(deadline::at(zsync::clock::time_point::max()).is_never());
  CHECK(deadline::at(zsync::clock::time_point::min()).has_passed());
  using system_hours = std::chrono::time_point<system_clock, std::chrono::hours>;
  CHECK(deadline::at(system_hours::max()).is_never());
  CHECK(deadline::at(system_hours::min()).has_passed());
  using own_hours = std::chrono::time_point<zsync::clock, std::chrono::hours>;
  CHECK(deadline::at(own_hours::max()).is_never());
  CHECK(deadline::at(own_hours::min()).has_passed());
}

TEST_CASE("a point between two nanoseconds is rounded up", "[timer]") {
  using picoseconds = std::chrono::duration<std::int64_t, std::pico>;
  CHECK(deadline::at(std::chrono::time_point<zsync::clock, picoseconds>(picoseconds{1001})).time() ==
        zsync::clock::time_point{2ns});
}

TEST_CASE("of two deadlines the earlier one is the tightest", "[timer]") {
  const deadline early{zsync::clock::time_point{1s}};
  const deadline late{zsync::clock::time_point{2s}};
  CHECK(tightest(early, late) == early);
  CHECK(tightest(late, early) == early);
  CHECK(tightest(deadline::never(), late) == late);
  CHECK(tightest(late, deadline::never()) == late);
}

TEST_CASE("the clock never goes back", "[timer]") {
  auto last = zsync::clock::now();
  for (int i = 0; i < 100'000; ++i) {
    const auto now = zsync::clock::now();
    if (now < last) FAIL("it went back");
    last = now;
  }
}
