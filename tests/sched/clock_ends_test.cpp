// Waits until the end of the clock's time, where a careless sum goes round to its beginning: they last.
#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/timed_mutex.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr auto end_of_time = zsync::clock::time_point::max();

// Each of them lasts for ever.
const std::vector<std::function<void()>> sleeps{
    [] { this_fiber::sleep_until(end_of_time); },
    [] { this_fiber::sleep_until(end_of_time - 1ns); },
    [] { this_fiber::sleep_until(std::chrono::system_clock::time_point::max()); },
    [] { this_fiber::sleep_for(std::chrono::nanoseconds::max()); },
    [] { this_fiber::sleep_for(std::chrono::nanoseconds::max() - 1ns); },
    [] { this_fiber::sleep_for(std::chrono::hours::max()); },
    [] { this_fiber::sleep_for(std::chrono::duration<double>(1e300)); },
    [] { this_fiber::sleep_for(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())); },
};

}  // namespace

TEST_CASE("a fiber that sleeps until the end of time, or for no number at all, does not wake up", "[sleep]") {
  test::in_fiber([] {
    std::vector<zsync::fiber<void>> sleepers;
    for (const auto& sleep : sleeps) sleepers.emplace_back(sleep);
    this_fiber::sleep_for(2ms);
    for (auto& one : sleepers) CHECK_FALSE(one.join_for(0s));
    for (auto& one : sleepers) {
      one.cancel();
      CHECK_THROWS_AS(one.join(), zsync::cancelled);
    }
  });
}

TEST_CASE("a plain thread that sleeps until the end of time, or for no number at all, does not wake up",
          "[sleep]") {
  // Nobody can wake it, so it ends with its process.
  const auto result = test::run_in_child([] {
    std::atomic<int> begun{0};
    std::atomic<int> awake{0};
    for (const auto& sleep : sleeps) {
      std::thread([&] {
        ++begun;
        sleep();
        ++awake;
      }).detach();
    }
    while (begun != static_cast<int>(sleeps.size())) std::this_thread::yield();
    std::this_thread::sleep_for(20ms);
    ::_exit(awake);
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("a plain thread waits until the end of time for a lock, and for a fiber", "[sleep]") {
  zsync::runtime own({.workers = 1});
  zsync::timed_mutex lock;
  for (const auto until : {end_of_time, end_of_time - 1ns}) {
    std::unique_lock hold(lock);
    std::atomic<bool> got_lock{false};
    std::atomic<bool> joined{false};
    std::atomic<int> begun{0};
    std::thread locking([&] {
      ++begun;
      got_lock = lock.try_lock_until(until);
      if (got_lock) lock.unlock();
    });
    std::thread joining([&] {
      auto other = own.spawn([&] {
        ++begun;
        this_fiber::sleep_for(5ms);
      });
      const zsync::deadline_scope scope(until);
      try {
        other.join();
        joined = true;
      } catch (const std::system_error&) {
      }
    });
    while (begun != 2) std::this_thread::yield();
    std::this_thread::sleep_for(5ms);
    hold.unlock();
    locking.join();
    joining.join();
    CHECK(got_lock);
    CHECK(joined);
  }
}
