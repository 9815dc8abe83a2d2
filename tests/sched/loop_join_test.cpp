// The thread that drives a loop waits for fibers of it between two polls: nobody else would run them.
#include <zsync/sched/loop.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/error.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes no_workers{.workers = false, .policies = true};

}  // namespace

TEST_CASE("a join between two polls drives the loop until the fiber has ended", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.poll();
    zsync::fiber newborn = own.spawn([] { return 1; });
    CHECK(newborn.join() == 1);

    zsync::fiber sleeper = own.spawn([] {
      this_fiber::sleep_for(2ms);
      return 2;
    });
    own.poll();
    CHECK(sleeper.join() == 2);

    zsync::fiber thrower = own.spawn([] { throw std::runtime_error("as it says"); });
    CHECK_THROWS_AS(thrower.join(), std::runtime_error);

    std::optional<zsync::fiber<int>> inner;  // spawned by a fiber, and not begun
    own.post([&] { inner.emplace([] { return 3; }); });
    own.poll();
    REQUIRE(inner);
    CHECK(inner->join() == 3);
    CHECK(own.stats().fibers_alive == 0);
  });
}

TEST_CASE("a join of the loop's thread ends by its time or its scope, and the handle stays", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.poll();
    int turns = 0;
    zsync::fiber parked = own.spawn([&] {
      ++turns;
      this_fiber::park();
      ++turns;
    });
    CHECK_FALSE(parked.join_for(1ms));
    CHECK(turns == 1);
    {
      const zsync::deadline_scope soon(1ms);
      try {
        parked.join();
        FAIL("it has not ended");
      } catch (const std::system_error& e) {
        CHECK(e.code() == zsync::error::deadline_expired);
      }
    }
    CHECK(parked.joinable());
    parked.cancel();
    CHECK_THROWS_AS(parked.join(), zsync::cancelled);
    CHECK(turns == 1);
  });
}

TEST_CASE("a handle dies between two polls, whatever its fiber is at", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    for (int polls = 0; polls < 5; ++polls) {
      int ended = 0;
      zsync::loop own(options);
      own.poll();
      {
        zsync::fiber several = own.spawn([&] {
          struct at_end {
            int& count;
            ~at_end() {
              this_fiber::yield();
              ++count;
            }
          } const mark{ended};
          this_fiber::yield();
          this_fiber::sleep_for(1us);
          this_fiber::park();
        });
        for (int i = 0; i < polls; ++i) own.poll();
      }
      CHECK(ended == 1);
      CHECK(own.poll() == 0);
    }
  });
}

TEST_CASE("a task group that a loop's fibers fill is waited for, and dies, on the loop's thread",
          "[loop][join][group]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    int ended = 0;
    {
      zsync::task_group group;
      own.post([&] {
        for (int i = 0; i < 3; ++i) {
          group.spawn([&] {
            this_fiber::sleep_for(1ms);
            ++ended;
          });
        }
      });
      own.poll();
      group.wait();
      CHECK(ended == 3);
      own.post([&] {
        group.spawn([&] {
          struct at_end {
            int& count;
            ~at_end() { ++count; }
          } const mark{ended};
          this_fiber::park();
        });
      });
      own.poll();
    }
    CHECK(ended == 4);
  });
}

TEST_CASE("another thread's join of a loop's fiber waits for the thread that drives it", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.poll();
    const auto here = std::this_thread::get_id();
    std::thread::id ran_on;
    zsync::fiber one = own.spawn([&] { ran_on = std::this_thread::get_id(); });
    bool joined = false;
    std::thread other([&] {
      one.join();
      joined = true;
    });
    while (own.stats().fibers_alive != 0) own.poll();
    other.join();
    CHECK(joined);
    CHECK(ran_on == here);
  });
}
