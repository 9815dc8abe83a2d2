// A newborn that is joined before it began may begin in its joiner's place; nobody may notice but by the
// clock.
#include "support/in_fiber.hpp"
#include "support/turns.hpp"

#include <zsync/sched/fiber.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace this_fiber = zsync::this_fiber;
using namespace std::chrono_literals;

TEST_CASE("a fiber that is joined at once may wait, yield, fail and return", "[fiber][join]") {
  zsync::test::in_fiber([] {
    for (int i = 0; i < 100; ++i) {
      CHECK(zsync::spawn([] { return 1; }).join() == 1);
      CHECK(zsync::spawn([] {
              this_fiber::yield();
              return std::string(100, 'x');
            }).join() == std::string(100, 'x'));
      CHECK(zsync::spawn([] {
              this_fiber::sleep_for(10us);
              return std::make_unique<int>(3);
            }).join() != nullptr);
      CHECK_THROWS_AS(zsync::spawn([] { throw std::runtime_error("mine"); }).join(), std::runtime_error);
    }
  });
}

TEST_CASE("a join from within a joined fiber runs in its place in turn", "[fiber][join]") {
  struct deep {
    static int down(int n) { return n == 0 ? 0 : 1 + zsync::spawn(down, n - 1).join(); }
  };
  zsync::test::in_fiber([] { CHECK(deep::down(200) == 200); });
}

TEST_CASE("who was ready before goes before a newborn that is joined", "[fiber][join][turns]") {
  zsync::test::in_fiber({.workers = false, .pinned_only = true}, [] {
    const int turns = zsync::test::turns_during([] {
      for (int i = 0; i < 100; ++i) zsync::spawn([] {}).join();
    });
    CHECK(turns >= 5);
  });
}

TEST_CASE("a waker of a fiber outlives its join", "[fiber][join]") {
  zsync::test::in_fiber([] {
    for (int i = 0; i < 100; ++i) {
      std::optional<zsync::waker> kept;
      zsync::spawn([&] { kept = this_fiber::get_waker(); }).join();
      kept->wake();
      zsync::waker copy = *kept;
      kept.reset();
      copy.wake();
    }
  });
}

TEST_CASE("a joiner that is cancelled by whom it joins has joined, or is cancelled by then",
          "[fiber][join]") {
  zsync::test::in_fiber({.workers = false}, [] {
    bool ended = false;
    bool interrupted = false;
    zsync::fiber<> joiner([&] {
      zsync::fiber child([&] {
        joiner.cancel();
        ended = true;
      });
      try {
        child.join();
        this_fiber::sleep_for(1h);
      } catch (const zsync::cancelled&) {
        interrupted = true;
        throw;
      }
    });
    CHECK_THROWS_AS(joiner.join(), zsync::cancelled);
    CHECK(ended);
    CHECK(interrupted);
  });
}

TEST_CASE("a deadline ends a join whose fiber has begun in place", "[fiber][join]") {
  zsync::test::in_fiber([] {
    std::atomic<bool> stop{false};
    zsync::fiber endless([&] {
      while (!stop) this_fiber::sleep_for(1ms);
    });
    CHECK_FALSE(endless.join_for(5ms));
    CHECK_THROWS_AS(zsync::timeout(5ms, [&] { endless.join(); }), std::system_error);
    stop = true;
    endless.join();
  });
}

TEST_CASE("the join of who is cancelled throws, though its newborn could begin in its place",
          "[fiber][join]") {
  zsync::test::in_fiber({.workers = false}, [] {
    bool begun = false;
    bool threw = false;
    zsync::fiber joiner([&] {
      try {
        this_fiber::sleep_for(1h);
      } catch (const zsync::cancelled&) {
      }
      zsync::fiber child([&] { begun = true; });
      try {
        child.join();
      } catch (const zsync::cancelled&) {
        threw = true;
      }
    });
    this_fiber::yield();
    joiner.cancel();
    joiner.join();
    CHECK(threw);
    CHECK(begun);  // by the end of its handle
  });
}
