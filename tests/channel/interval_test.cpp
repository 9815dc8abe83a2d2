#include "meeting.hpp"

#include <zsync/channel/interval.hpp>
#include <zsync/sched/scope.hpp>

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
  over_workers([] {
    const auto late = [](missed_tick policy) {
      interval every(4ms, policy);
      const auto first = every.tick();
      this_fiber::sleep_until(first + 14ms);  // three are missed, half a period after the third
      const auto second = every.tick();
      const auto came = clock::now();
      const auto third = every.tick();
      return std::tuple(second - first, third - first, third - came, clock::now() - came);
    };
    {
      const auto [second, third, gap, waited] = late(missed_tick::burst);
      CHECK(second == 4ms);
      CHECK(third == 8ms);
    }
    {
      const auto [second, third, gap, waited] = late(missed_tick::delay);
      CHECK(second == 4ms);
      CHECK(third >= 18ms);
      CHECK(waited >= 3900us);
    }
    {
      const auto [second, third, gap, waited] = late(missed_tick::skip);
      CHECK(second == 4ms);
      CHECK(third >= 16ms);
      CHECK(third % 4ms == 0ms);
    }
  });
}

TEST_CASE("a tick whose wait was ended is still to come", "[interval]") {
  over_workers([] {
    interval every(6ms);
    const auto begin = clock::now();
    {
      const deadline_scope scope(1ms);
      CHECK_THROWS_AS(every.tick(), std::system_error);
    }
    CHECK(every.tick() - begin < 7ms);
    auto waits = spawn([] {
      interval never(1h);
      never.tick();
    });
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
  });
}

}  // namespace
