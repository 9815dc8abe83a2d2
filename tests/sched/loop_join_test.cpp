// The thread that drives a loop waits for fibers of it between two polls: nobody else would run them.
#include <zsync/sched/loop.hpp>

#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/error.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
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

TEST_CASE("asking a handle whether its fiber has ended, or joining without time, drives nothing",
          "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.poll();
    int turns = 0;
    zsync::fiber counting = own.spawn([&] {
      for (int i = 0; i < 3; ++i) {
        ++turns;
        this_fiber::yield();
      }
    });
    for (int i = 0; i < 100; ++i) {
      CHECK_FALSE(counting.done());
      CHECK_FALSE(counting.join_for(0s));
    }
    CHECK(turns == 0);
    own.run_until_idle();
    CHECK(counting.done());
    CHECK(counting.join_for(0s));
    CHECK_FALSE(counting.done());  // of an empty handle
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
          "[loop][join][group][turns]") {
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

TEST_CASE("a task group of any size is waited for on a loop's thread", "[loop][join][group][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    constexpr int many = test::sanitized ? 2'000 : 100'000;  // more than a recursion would survive
    zsync::loop own(options);
    int ended = 0;
    zsync::task_group group;
    own.post([&] {
      for (int i = 0; i < many; ++i) {
        group.spawn([&ended] { ++ended; });
      }
    });
    own.poll();
    group.wait();
    CHECK(ended == many);
  });
}

TEST_CASE("a join in a scope that has expired drives nothing", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.poll();
    int turns = 0;
    zsync::fiber counting = own.spawn([&] {
      ++turns;
      this_fiber::yield();
      ++turns;
    });
    own.poll();
    {
      const zsync::deadline_scope expired(0s);
      CHECK_THROWS_AS(counting.join(), std::system_error);
    }
    CHECK(turns == 1);
    counting.join();
    CHECK(turns == 2);
  });
}

TEST_CASE("a task group whose children belong to several loops and a runtime dies on their thread",
          "[loop][join][group]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop one(options);
    zsync::loop other(options);
    zsync::runtime elsewhere(options);
    std::atomic<int> ended{0};
    {
      zsync::task_group group;
      const auto fill = [&] {
        for (int i = 0; i < 2; ++i) {
          group.spawn([&] {
            struct at_end {
              std::atomic<int>& count;
              ~at_end() { ++count; }
            } const mark{ended};
            this_fiber::park();
          });
        }
      };
      one.post(fill);
      one.poll();
      elsewhere.block_on(fill);
      other.post(fill);
      other.poll();
      CHECK_FALSE(group.wait_for(1ms));
    }
    CHECK(ended == 6);
  });
}

#if defined(__linux__)
TEST_CASE("a thread that has the name of a loop's former thread is another thread all the same",
          "[loop][misuse]") {
  const auto ended = test::run_in_child([] {
    zsync::loop own;
    pthread_t first{};
    std::thread([&] {
      first = ::pthread_self();
      own.poll();
    }).join();
    for (int i = 0; i < 1000; ++i) {  // the system gives the name again, usually at once
      std::thread([&] {
        if (::pthread_equal(first, ::pthread_self()) == 0) return;
        own.poll();
        ::_exit(3);  // nobody noticed
      }).join();
    }
    ::_exit(4);  // no name came twice
  });
  INFO(ended.err);
  CHECK((ended.exit_code == 4 || ended.signal == SIGABRT));
}
#endif

TEST_CASE("a loop leaves its thread's alternate signal stack as it was", "[loop]") {
  stack_t before{};
  stack_t after{};
  std::thread([&] {  // one without a stack for signals of Catch's
    ::sigaltstack(nullptr, &before);
    zsync::loop own;
    own.post([] {});
    own.poll();
    ::sigaltstack(nullptr, &after);
  })
      .join();
  CHECK(after.ss_sp == before.ss_sp);
  CHECK(after.ss_flags == before.ss_flags);
}
