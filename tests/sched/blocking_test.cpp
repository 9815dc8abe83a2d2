#include <zsync/sched/blocking.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

}  // namespace

TEST_CASE("a blocking call runs on another thread and its result comes back", "[blocking]") {
  test::in_fiber(everything, [] {
    const auto here = std::this_thread::get_id();
    CHECK(zsync::blocking([] { return std::this_thread::get_id(); }) != here);
    CHECK_FALSE(zsync::blocking([] { return this_fiber::inside(); }));
    CHECK(*zsync::blocking([] { return std::make_unique<int>(3); }) == 3);
    int object = 0;
    CHECK(&zsync::blocking([&]() -> int& { return object; }) == &object);
    bool ran = false;
    zsync::blocking([&] { ran = true; });
    CHECK(ran);
    CHECK_THROWS_WITH(zsync::blocking([]() -> int { throw std::runtime_error("there"); }), "there");
  });
}

TEST_CASE("the worker goes on while a call blocks", "[blocking]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          std::atomic<bool> release{false};
          auto blocker = zsync::spawn([&] {
            zsync::blocking([&] {
              while (!release) std::this_thread::sleep_for(100us);
            });
          });
          for (int i = 0; i < 10; ++i) this_fiber::sleep_for(100us);
          CHECK_FALSE(blocker.join_for(0ms));
          release = true;
          blocker.join();
        },
        options);
  });
}

TEST_CASE("blocking calls that outnumber the helpers queue, and no more than 64 run at once", "[blocking]") {
  test::in_fiber([] {
    std::atomic<int> running{0};
    std::atomic<int> most{0};
    std::atomic<int> done{0};
    zsync::task_group group;
    for (int i = 0; i < 300; ++i) {
      group.spawn([&] {
        zsync::blocking([&] {
          const int now = ++running;
          int seen = most;
          while (seen < now && !most.compare_exchange_weak(seen, now)) {
          }
          std::this_thread::sleep_for(2ms);
          --running;
          ++done;
        });
      });
    }
    group.wait();
    CHECK(done == 300);
    CHECK(most <= 64);
    CHECK(most >= 2);
  });
}

TEST_CASE("a call that still queues can be cancelled, one that runs is waited for", "[blocking]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> release{false};
    std::atomic<int> running{0};
    zsync::task_group occupied;
    for (int i = 0; i < 64; ++i) {
      occupied.spawn([&] {
        zsync::blocking([&] {
          ++running;
          while (!release) std::this_thread::sleep_for(1ms);
        });
      });
    }
    while (running < 64) this_fiber::sleep_for(1ms);
    std::atomic<int> ran{0};
    auto queued = zsync::spawn([&] { zsync::blocking([&] { ++ran; }); });
    this_fiber::sleep_for(1ms);
    queued.cancel();
    CHECK_THROWS_AS(queued.join(), zsync::cancelled);
    CHECK_THROWS_AS(zsync::timeout(1ms, [&] { zsync::blocking([&] { ++ran; }); }), std::system_error);
    // Those that run go on, though cancelled: what they use lives on their fiber's stack.
    occupied.cancel();
    this_fiber::sleep_for(1ms);
    CHECK(occupied.size() == 64);
    release = true;
    occupied.wait();
    CHECK(ran == 0);
  });
}

TEST_CASE("a call that runs is waited for though a deadline scope expires meanwhile", "[blocking]") {
  test::in_fiber(everything, [] {
    bool begun = false;
    std::atomic<bool> ended{false};
    for (auto patience = 1ms; !begun; patience *= 2) {  // until it is long enough for a helper to come to it
      const zsync::deadline_scope scope(patience);
      try {
        zsync::blocking([&] {
          begun = true;
          while (!scope.expired()) std::this_thread::sleep_for(1ms);
          std::this_thread::sleep_for(20ms);
          ended = true;
        });
      } catch (const std::system_error&) {
      }
    }
    CHECK(ended);
  });
}

TEST_CASE("a fiber that was cancelled before does not begin a blocking call", "[blocking]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> ran{false};
    auto one = zsync::spawn([&] {
      while (!this_fiber::cancellation_requested()) this_fiber::yield();
      zsync::blocking([&] { ran = true; });
    });
    one.cancel();
    CHECK_THROWS_AS(one.join(), zsync::cancelled);
    CHECK_FALSE(ran);
  });
}

TEST_CASE("on a plain thread a blocking call is simply called", "[blocking]") {
  const auto here = std::this_thread::get_id();
  CHECK(zsync::blocking([] { return std::this_thread::get_id(); }) == here);
  CHECK_THROWS_AS(zsync::blocking([] { throw 1; }), int);
}

TEST_CASE("many short blocking calls from many fibers all come back", "[blocking]") {
  test::in_fiber(everything, [] {
    std::atomic<int> sum{0};
    zsync::task_group group;
    for (int i = 0; i < 50; ++i) {
      group.spawn([&] {
        for (int k = 0; k < 40; ++k) sum += zsync::blocking([] { return 1; });
      });
    }
    group.wait();
    CHECK(sum == 2000);
  });
}

TEST_CASE("as many calls block at once as the options allow", "[blocking]") {
  constexpr int calls = 6;
  for (const unsigned helpers : {0U, 1U, 3U}) {
    std::atomic<int> most{0}, now{0};
    zsync::run(
        [&] {
          zsync::task_group group;
          for (int i = 0; i < calls; ++i) {
            group.spawn([&] {
              zsync::blocking([&] {
                const int inside = ++now;
                for (int before = most; before < inside && !most.compare_exchange_weak(before, inside);) {
                }
                std::this_thread::sleep_for(2ms);
                --now;
              });
            });
          }
          group.wait();
        },
        {.workers = 1, .helpers_max = helpers});
    CHECK(most >= 1);
    CHECK(most <= static_cast<int>(std::max(helpers, 1U)));
  }
}

// More than the pool has unless told otherwise, and each ends only once all run.
TEST_CASE("calls that wait for each other have a helper each, if the options say so", "[blocking]") {
  constexpr unsigned calls = 70;
  std::latch all{calls};
  zsync::run(
      [&] {
        zsync::task_group group;
        for (unsigned i = 0; i < calls; ++i)
          group.spawn([&] { zsync::blocking([&] { all.arrive_and_wait(); }); });
        group.wait();
      },
      {.workers = 1, .helpers_max = calls});
  CHECK(all.try_wait());
}

TEST_CASE("a runtime that ends waits for the calls that run", "[blocking]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    std::atomic<bool> begun{false};
    std::atomic<bool> ended{false};
    {
      zsync::runtime own(options);
      own.post([&] {
        zsync::blocking([&] {
          begun = true;
          std::this_thread::sleep_for(5ms);
          ended = true;
        });
      });
      while (!begun) std::this_thread::yield();
    }
    CHECK(ended);
  });
}
