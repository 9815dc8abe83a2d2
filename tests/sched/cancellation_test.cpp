#include <zsync/sched/scope.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

struct named_wait {
  const char* name;
  std::function<void()> wait;  // for ever, unless cancelled
};

// Each wait of sched/ that cancellation has to reach.
std::vector<named_wait> all_waits() {
  return {
      {"park", [] { this_fiber::park(); }},
      {"park_for", [] { this_fiber::park_for(1h); }},
      {"sleep_for", [] { this_fiber::sleep_for(1h); }},
      {"sleep_until", [] { this_fiber::sleep_until(std::chrono::system_clock::now() + 1h); }},
      {"join",
       [] {
         auto child = zsync::spawn([] { this_fiber::park(); });
         child.join();
       }},
      {"join_for",
       [] {
         auto child = zsync::spawn([] { this_fiber::park(); });
         (void)child.join_for(1h);
       }},
      {"task_group::wait",
       [] {
         zsync::task_group group;
         group.spawn([] { this_fiber::park(); });
         group.wait();
       }},
      {"timeout", [] { zsync::timeout(1h, [] { this_fiber::park(); }); }},
  };
}

bool ends_cancelled(const std::function<void()>& wait) {
  try {
    wait();
    return false;
  } catch (const zsync::cancelled&) {
    return true;
  }
}

}  // namespace

TEST_CASE("a fiber is cancelled while somebody joins it, by whoever has a canceller", "[cancel]") {
  test::in_fiber(everything, [] {
    zsync::fiber sleeper([] { this_fiber::sleep_for(1h); });
    const zsync::canceller one = sleeper.get_canceller();
    zsync::canceller other;
    other.cancel();  // nobody
    other = one;
    auto joiner = zsync::spawn([&] {
      try {
        sleeper.join();
      } catch (const zsync::cancelled&) {
        return true;
      }
      return false;
    });
    this_fiber::yield();
    std::thread([moved = std::move(other)] { moved.cancel(); }).join();
    CHECK(joiner.join());
    one.cancel();  // it has ended
  });
}

TEST_CASE("a canceller outlives its fiber and its runtime, and then does nothing", "[cancel]") {
  zsync::canceller late, of_detached, of_nothing = zsync::fiber<>().get_canceller();
  std::atomic<bool> was_cancelled{false};
  {
    zsync::runtime own({.workers = 2});
    zsync::fiber<int> ended = own.spawn([] { return 1; });
    late = ended.get_canceller();
    CHECK(ended.join() == 1);
    auto detached = own.spawn([&] {
      try {
        this_fiber::sleep_for(1h);
      } catch (const zsync::cancelled&) {
        was_cancelled = true;
        throw;
      }
    });
    of_detached = detached.get_canceller();
    detached.detach();
    of_detached.cancel();
    late.cancel();
  }
  CHECK(was_cancelled);
  late.cancel();
  of_detached.cancel();
  of_nothing.cancel();
}

TEST_CASE("cancellation reaches a fiber in each of its waits", "[cancel]") {
  test::in_fiber(everything, [] {
    for (const named_wait& each : all_waits()) {
      INFO(each.name);
      std::atomic<bool> begun{false};
      auto victim = zsync::spawn([&] {
        begun = true;
        each.wait();
      });
      while (!begun) this_fiber::yield();
      this_fiber::sleep_for(200us);
      CHECK_FALSE(victim.join_for(0ms));
      victim.cancel();
      CHECK(ends_cancelled([&] { victim.join(); }));
    }
  });
}

TEST_CASE("a fiber that was cancelled before it began runs, and each wait of it throws", "[cancel]") {
  test::in_fiber(everything, [] {
    for (const named_wait& each : all_waits()) {
      INFO(each.name);
      zsync::fiber<bool> self = zsync::spawn([&] {
        while (!this_fiber::cancellation_requested()) this_fiber::yield();
        return ends_cancelled(each.wait) && ends_cancelled(each.wait);
      });
      self.cancel();
      CHECK(self.join());
    }
  });
}

TEST_CASE("a cancellation sticks: each further wait throws again", "[cancel]") {
  test::in_fiber(everything, [] {
    int caught = 0;
    auto stubborn = zsync::spawn([&caught] {
      for (int i = 0; i < 5; ++i) {
        try {
          this_fiber::park();
        } catch (const zsync::cancelled&) {
          ++caught;
        }
      }
      return 7;
    });
    this_fiber::yield();
    stubborn.cancel();
    stubborn.cancel();
    CHECK(stubborn.join() == 7);
    CHECK(caught == 5);
  });
}

TEST_CASE("catch (std::exception) does not swallow a cancellation", "[cancel]") {
  test::in_fiber([] {
    auto careless = zsync::spawn([] {
      try {
        this_fiber::park();
      } catch (const std::exception&) {
        return;
      }
    });
    this_fiber::yield();
    careless.cancel();
    CHECK_THROWS_AS(careless.join(), zsync::cancelled);
  });
}

TEST_CASE("a shield postpones cancellation, nested ones until the outermost ends", "[cancel]") {
  test::in_fiber(everything, [] {
    std::atomic<int> stage{0};
    auto careful = zsync::spawn([&] {
      {
        const zsync::cancellation_shield outer;
        {
          const zsync::cancellation_shield inner;
          stage = 1;
          this_fiber::sleep_for(2ms);
          CHECK_FALSE(this_fiber::cancellation_requested());
          this_fiber::cancellation_point();
        }
        this_fiber::sleep_for(1ms);
        CHECK_FALSE(this_fiber::park_for(1ms));
        zsync::spawn([] { this_fiber::sleep_for(1ms); }).join();
        zsync::task_group group;
        group.spawn([] { this_fiber::sleep_for(1ms); });
        group.wait();
        stage = 2;
      }
      CHECK(this_fiber::cancellation_requested());
      stage = 3;
      CHECK_THROWS_AS(this_fiber::cancellation_point(), zsync::cancelled);
      this_fiber::sleep_for(1h);
      stage = 4;
    });
    while (stage < 1) this_fiber::yield();
    careful.cancel();
    CHECK_THROWS_AS(careful.join(), zsync::cancelled);
    CHECK(stage == 3);
  });
}

TEST_CASE("a wake ends a park within a shield, and cancellation ends the next one", "[cancel]") {
  test::in_fiber(everything, [] {
    zsync::waker wake;
    std::atomic<bool> ready{false};
    std::atomic<bool> woken{false};
    auto careful = zsync::spawn([&] {
      wake = this_fiber::get_waker();
      {
        const zsync::cancellation_shield shield;
        ready = true;
        this_fiber::park();
        woken = true;
      }
      this_fiber::park();
    });
    while (!ready) this_fiber::yield();
    careful.cancel();
    CHECK_FALSE(careful.join_for(2ms));
    CHECK_FALSE(woken);
    wake.wake();
    CHECK_THROWS_AS(careful.join(), zsync::cancelled);
    CHECK(woken);
  });
}

TEST_CASE("a fiber may cancel itself, by way of its handle", "[cancel]") {
  test::in_fiber(everything, [] {
    zsync::fiber<void> self;
    std::atomic<bool> ready{false};
    self = zsync::spawn([&] {
      while (!ready) this_fiber::yield();
      self.cancel();
      CHECK(this_fiber::cancellation_requested());
      this_fiber::park();
    });
    ready = true;
    while (self.joinable() && !ends_cancelled([&] { (void)self.join(); })) {
    }
    CHECK_FALSE(self.joinable());
  });
}

TEST_CASE("yield and sleep_for(0): one is no cancellation point, the other is", "[cancel]") {
  test::in_fiber(everything, [] {
    int yields = 0;
    auto one = zsync::spawn([&yields] {
      while (!this_fiber::cancellation_requested()) this_fiber::yield();
      this_fiber::yield();
      ++yields;
      for (;;) this_fiber::sleep_for(0ms);
    });
    one.cancel();
    CHECK_THROWS_AS(one.join(), zsync::cancelled);
    CHECK(yields == 1);
  });
}

TEST_CASE("nobody but the cancelled fiber is cancelled", "[cancel]") {
  test::in_fiber(everything, [] {
    std::atomic<int> finished{0};
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 50; ++i) {
      const int rounds = i % 2 == 0 ? std::numeric_limits<int>::max() : 20;  // the even ones are cancelled
      all.push_back(zsync::spawn([&finished, rounds] {
        for (int k = 0; k < rounds; ++k) this_fiber::sleep_for(50us);
        ++finished;
      }));
    }
    for (std::size_t i = 0; i < all.size(); i += 2) all[i].cancel();
    int cancelled = 0;
    for (auto& one : all) cancelled += ends_cancelled([&] { one.join(); }) ? 1 : 0;
    CHECK(cancelled == 25);
    CHECK(finished == 25);
  });
}

TEST_CASE("cancelling a join leaves the joined fiber running and its handle joinable", "[cancel]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> stop{false};
    auto child = zsync::spawn([&] {
      while (!stop) this_fiber::sleep_for(100us);
      return 5;
    });
    auto joiner = zsync::spawn([&] { return child.join(); });
    this_fiber::sleep_for(1ms);
    joiner.cancel();
    CHECK_THROWS_AS(joiner.join(), zsync::cancelled);
    REQUIRE(child.joinable());
    stop = true;
    CHECK(child.join() == 5);
  });
}

TEST_CASE("a cancellation from a plain thread, at any moment, ends the fiber once", "[cancel]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    for (int round = 0; round < 100; ++round) {
      std::atomic<bool> begun{false};
      auto victim = own.spawn([&] {
        begun = true;
        for (int i = 0;; ++i) {
          if (i % 3 == 0) this_fiber::sleep_for(1us);
          if (i % 3 == 1) zsync::spawn([] {}).join();
          if (i % 3 == 2) (void)this_fiber::park_for(1us);
        }
      });
      while (round % 2 == 0 && !begun) std::this_thread::yield();
      std::thread other([&] { victim.cancel(); });
      other.join();  // a handle is for one at a time
      CHECK(ends_cancelled([&] {
        if (!victim.join_for(20s)) FAIL("the cancellation was lost");
      }));
    }
  });
}

TEST_CASE("on a plain thread nothing is ever cancelled", "[cancel]") {
  CHECK_FALSE(this_fiber::cancellation_requested());
  this_fiber::cancellation_point();
  const zsync::cancellation_shield shield;
  this_fiber::sleep_for(1ms);
}
