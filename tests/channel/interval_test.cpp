#include "meeting.hpp"
#include "support/stopped_clock.hpp"

#include <zsync/channel/interval.hpp>
#include <zsync/sched/scope.hpp>

#include <limits>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("an interval ticks at its times and never early", "[interval]") {
  over_workers([] {
    const auto begin = clock::now();
    interval every(2ms);
    for (int i = 1; i <= 5; ++i) {
      const auto due = every.tick();
      CHECK(clock::now() >= due);
      CHECK(due - begin >= i * 2ms);
    }
    CHECK(every.period() == 2ms);
  });
}

TEST_CASE("ticks that were missed come in a burst, with a delay, or not at all", "[interval]") {
  const auto third_tick = [](missed_tick policy) {
    stopped_clock time(clock::time_point{1s});
    interval every(4ms, policy);
    const auto begin = time.at;
    time.at = begin + 5ms;  // late, but nothing is missed
    CHECK(every.tick() - begin == 4ms);
    time.at = begin + 18ms;  // for the tick at 8; those at 12 and 16 are missed
    CHECK(every.tick() - begin == 8ms);
    time.at = begin + 1s;
    return every.tick() - begin;
  };
  CHECK(third_tick(missed_tick::burst) == 12ms);
  CHECK(third_tick(missed_tick::delay) == 22ms);
  CHECK(third_tick(missed_tick::skip) == 20ms);
}

TEST_CASE("a tick that was due just now is missed, too", "[interval]") {
  stopped_clock time(clock::time_point{1s});
  interval every(4ms, missed_tick::skip);
  const auto begin = time.at;
  time.at = begin + 8ms;  // for the tick at 4; that at 8 is missed
  CHECK(every.tick() - begin == 4ms);
  time.at = begin + 1s;
  CHECK(every.tick() - begin == 12ms);
}

TEST_CASE("a tick whose wait was ended is still to come", "[interval]") {
  over_workers([] {
    const auto begin = clock::now();
    interval every(20ms);
    {
      const deadline_scope scope(1ms);
      CHECK_THROWS_AS(every.tick(), std::system_error);
    }
    CHECK(every.tick() - begin >= 20ms);
    CHECK(every.tick() - begin >= 40ms);
    auto waits = spawn([] {
      interval never(1h);
      never.tick();
    });
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
  });
}

// The sum of now and such a period once was a time long ago.
TEST_CASE("an interval of more than the clock can hold never ticks", "[interval]") {
  over_workers([] {
    const auto never_ticks = [](auto period) {
      interval every(period);
      const auto begin = clock::now();
      const deadline_scope scope(1ms);
      CHECK_THROWS_AS(every.tick(), std::system_error);
      CHECK(clock::now() - begin >= 1ms);
      every.reset();
      CHECK_THROWS_AS(every.tick(), std::system_error);
    };
    never_ticks(std::chrono::nanoseconds::max());
    never_ticks(std::chrono::nanoseconds::max() - 1ns);
    never_ticks(std::chrono::hours::max());
    never_ticks(std::chrono::duration<double>(1e300));
    never_ticks(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
  });
}

}  // namespace
