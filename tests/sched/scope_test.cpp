// Deadline scopes, timeouts and sleeping: never early, the tightest wins.
#include <zsync/sched/scope.hpp>

#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

// What the wait says when it ends by a deadline scope; empty: it did not.
template <class F>
std::string timed_out(F wait) {
  try {
    wait();
  } catch (const std::system_error& e) {
    if (e.code() == std::errc::timed_out) return e.what();
    return "another error";
  }
  return "";
}

constexpr const char* by_scope = "a deadline scope has expired";

bool says_scope(const std::string& message) { return message.find(by_scope) != std::string::npos; }

}  // namespace

TEST_CASE("a sleep is never early, however short", "[sleep]") {
  test::in_fiber(everything, [] {
    int early = 0;
    for (int i = 0; i < 300; ++i) {
      const auto d = std::chrono::nanoseconds(i * 1117);
      const auto before = zsync::clock::now();
      this_fiber::sleep_for(d);
      if (zsync::clock::now() - before < d) ++early;
    }
    CHECK(early == 0);
    const auto until = std::chrono::system_clock::now() + 2ms;
    this_fiber::sleep_until(until);
    // The two clocks may drift apart by a little.
    CHECK(std::chrono::system_clock::now() >= until - 1ms);
    this_fiber::sleep_until(zsync::clock::time_point::min());
    this_fiber::sleep_until(std::chrono::system_clock::time_point::min());
    this_fiber::sleep_for(-1h);
  });
}

TEST_CASE("a plain thread may sleep, and be timed out, as a fiber does", "[sleep]") {
  const auto before = zsync::clock::now();
  this_fiber::sleep_for(2ms);
  CHECK(zsync::clock::now() - before >= 2ms);
  CHECK(says_scope(timed_out([] {
    const zsync::deadline_scope scope(1ms);
    this_fiber::sleep_for(1h);
  })));
  zsync::runtime own({.workers = 1});
  auto parked = own.spawn([] { this_fiber::park(); });
  CHECK(says_scope(timed_out([&] { zsync::timeout(2ms, [&] { parked.join(); }); })));
  REQUIRE(parked.joinable());
}

TEST_CASE("many fibers sleep for random times, none early, all in the end", "[sleep]") {
  test::in_fiber(everything, [] {
    constexpr unsigned fibers = 5000;
    std::atomic<int> early{0};
    std::atomic<unsigned> done{0};
    {
      zsync::task_group all;
      for (unsigned i = 0; i < fibers; ++i) {
        all.spawn([&, i] {
          std::minstd_rand random(i + 1);
          for (int k = 0; k < 3; ++k) {
            const auto until = zsync::clock::now() + std::chrono::microseconds(random() % 5000);
            this_fiber::sleep_until(until);
            if (zsync::clock::now() < until) ++early;
          }
          ++done;
        });
      }
      all.wait();
    }
    CHECK(early == 0);
    CHECK(done == fibers);
  });
}

TEST_CASE("a storm of equal deadlines wakes everybody, half of them cancelled before", "[sleep]") {
  test::in_fiber(everything, [] {
    const auto until = zsync::clock::now() + 50ms;
    std::atomic<int> slept{0};
    std::atomic<int> early{0};
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 4000; ++i) {
      all.push_back(zsync::spawn([&] {
        this_fiber::sleep_until(until);
        if (zsync::clock::now() < until) ++early;
        ++slept;
      }));
    }
    this_fiber::yield();
    for (std::size_t i = 0; i < all.size(); i += 2) all[i].cancel();
    int cancelled = 0;
    for (auto& one : all) {
      try {
        one.join();
      } catch (const zsync::cancelled&) {
        ++cancelled;
      }
    }
    // A slow machine may have reached the deadline before the cancellation came.
    CHECK(slept + cancelled == 4000);
    CHECK(slept >= 2000);
    CHECK(early == 0);
  });
}

TEST_CASE("a storm of timers does not keep others from running", "[sleep]") {
  test::in_fiber([] {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> turns{0};
    auto worker = zsync::spawn([&] {
      while (!stop) {
        ++turns;
        this_fiber::yield();
      }
    });
    while (turns == 0) this_fiber::yield();  // a machine that is slow to spawn must not find the storm over
    {
      const auto until = zsync::clock::now() + 30ms;
      zsync::task_group storm;
      for (int i = 0; i < 10'000; ++i) storm.spawn([until] { this_fiber::sleep_until(until); });
      storm.wait();
    }
    CHECK(turns > 10);  // and not one, when the storm is over
    stop = true;
    worker.join();
  });
}

TEST_CASE("a deadline scope ends whatever wait it holds, with its own message", "[scope]") {
  test::in_fiber(everything, [] {
    const auto expires = [](auto wait) {
      const auto before = zsync::clock::now();
      const std::string message = timed_out([&] {
        const zsync::deadline_scope scope(2ms);
        wait();
      });
      CHECK(says_scope(message));
      CHECK(zsync::clock::now() - before >= 2ms);
    };
    expires([] { this_fiber::park(); });
    expires([] { (void)this_fiber::park_for(1h); });
    expires([] { this_fiber::sleep_for(1h); });
    auto parked = zsync::spawn([] { this_fiber::park(); });
    expires([&] { parked.join(); });
    expires([&] { (void)parked.join_for(1h); });
    expires([] {
      zsync::task_group group;
      group.spawn([] { this_fiber::park(); });
      group.wait();
    });
  });
}

TEST_CASE("a wait's own deadline that is tighter than the scope ends it as its own", "[scope]") {
  test::in_fiber(everything, [] {
    const zsync::deadline_scope scope(1h);
    CHECK_FALSE(this_fiber::park_for(1ms));
    this_fiber::sleep_for(1ms);
    auto parked = zsync::spawn([] { this_fiber::park(); });
    CHECK_FALSE(parked.join_for(1ms));
    CHECK_FALSE(scope.expired());
  });
}

TEST_CASE("of nested scopes the tightest wins, be it the inner or the outer one", "[scope]") {
  test::in_fiber(everything, [] {
    {
      const zsync::deadline_scope outer(1h);
      const zsync::deadline_scope inner(1ms);
      CHECK(says_scope(timed_out([] { this_fiber::park(); })));
      CHECK(inner.expired());
      CHECK_FALSE(outer.expired());
    }
    {
      const zsync::deadline_scope outer(1ms);
      const zsync::deadline_scope inner(1h);
      CHECK(says_scope(timed_out([] { this_fiber::park(); })));
      CHECK_FALSE(inner.expired());
      CHECK(outer.expired());
    }
    {
      const zsync::deadline_scope outer(1h);
      {
        const zsync::deadline_scope inner(1ms);
        CHECK(says_scope(timed_out([] { this_fiber::park(); })));
      }
      this_fiber::sleep_for(1ms);  // the inner one is gone
    }
    CHECK(says_scope(timed_out([] {
      zsync::timeout(1h, [] { zsync::timeout(1ms, [] { zsync::timeout(1h, [] { this_fiber::park(); }); }); });
    })));
  });
}

TEST_CASE("an expired scope ends each further wait at once, and lets what is ready through", "[scope]") {
  test::in_fiber(everything, [] {
    auto done = zsync::spawn([] { return 3; });
    this_fiber::sleep_for(1ms);
    const zsync::deadline_scope scope(0ms);
    for (int i = 0; i < 3; ++i) CHECK(says_scope(timed_out([] { this_fiber::sleep_for(1h); })));
    this_fiber::get_waker().wake();
    this_fiber::park();
    while (!done.join_for(0ms)) {
      // Under work stealing it may still be on its way.
    }
  });
}

TEST_CASE("a handle that is destroyed within an expired scope waits for the end all the same", "[scope]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> ended{false};
    {
      const zsync::deadline_scope expired(-1s);
      const zsync::fiber unhurried([&] {
        const zsync::cancellation_shield shield;
        this_fiber::sleep_for(2ms);
        ended = true;
      });
    }
    CHECK(ended);
  });
}

TEST_CASE("a sleep for no time at all obeys a scope that has expired, as any wait does", "[scope][sleep]") {
  const auto obeys = [] {
    {
      const zsync::deadline_scope open(1h);
      this_fiber::sleep_for(0s);
    }
    const zsync::deadline_scope expired(-1s);
    CHECK(says_scope(timed_out([] { this_fiber::sleep_for(0s); })));
    CHECK(says_scope(timed_out([] { this_fiber::sleep_for(-1h); })));
    CHECK(says_scope(timed_out([] { this_fiber::sleep_until(zsync::clock::now()); })));
    CHECK(says_scope(timed_out([] { this_fiber::sleep_until(zsync::clock::now() - 1h); })));
    this_fiber::yield();  // no wait
  };
  test::in_fiber(everything, obeys);
  obeys();
}

TEST_CASE("a scope belongs to its fiber: children and neighbours are not bound by it", "[scope]") {
  test::in_fiber(everything, [] {
    zsync::fiber<bool> child;
    {
      const zsync::deadline_scope scope(1ms);
      child = zsync::spawn([] {
        this_fiber::sleep_for(5ms);
        return true;
      });
      CHECK(says_scope(timed_out([] { this_fiber::park(); })));
    }
    CHECK(child.join());
  });
}

TEST_CASE("within a deadline shield no scope around it ends a wait, and one within it does", "[scope]") {
  test::in_fiber(everything, [] {
    const zsync::deadline_scope expired(0s);
    {
      const zsync::deadline_shield shield;
      CHECK_NOTHROW(this_fiber::sleep_for(1ms));
      {
        const zsync::deadline_scope soon(1ms);
        CHECK_THROWS_AS(this_fiber::park(), std::system_error);
      }
      CHECK_FALSE(this_fiber::park_for(1ms));
    }
    CHECK_THROWS_AS(this_fiber::sleep_for(1ms), std::system_error);
  });
}

TEST_CASE("timeout returns the result of what ends in time, and lets its exceptions through", "[scope]") {
  test::in_fiber(everything, [] {
    CHECK(zsync::timeout(1h, [] { return 4; }) == 4);
    int object = 0;
    CHECK(&zsync::timeout(1h, [&]() -> int& { return object; }) == &object);
    CHECK_THROWS_AS(zsync::timeout(1h, [] { throw 1; }), int);
  });
}

TEST_CASE("a timeout may be a point in time", "[scope]") {
  test::in_fiber(everything, [] {
    CHECK(zsync::timeout(zsync::clock::now() + 1h, [] { return 4; }) == 4);
    CHECK(
        says_scope(timed_out([] { zsync::timeout(zsync::clock::now() + 1ms, [] { this_fiber::park(); }); })));
    CHECK(
        says_scope(timed_out([] { zsync::timeout(zsync::clock::now() - 1s, [] { this_fiber::park(); }); })));
  });
}

TEST_CASE("scopes that end in the wrong order end the program with a message", "[scope]") {
  const auto result = test::run_in_child([] {
    auto outer = std::make_unique<zsync::deadline_scope>(1h);
    const zsync::deadline_scope inner(1h);
    outer.reset();
  });
  CHECK(result.signal == SIGABRT);
  CHECK(result.err.find("deadline_scope") != std::string::npos);
}
