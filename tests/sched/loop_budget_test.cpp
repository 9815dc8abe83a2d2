#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/sched/loop.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <chrono>

using namespace std::chrono_literals;
namespace test = zsync::test;

namespace {

constexpr test::axes no_workers{.workers = false, .policies = true};

}  // namespace

TEST_CASE("however small the budget, timers are heard and one that is ready has its turn", "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    bool woken = false;
    long turns = 0;
    own.post([&] {
      zsync::this_fiber::sleep_for(1ms);
      woken = true;
    });
    own.post([&] {
      while (!woken) {
        ++turns;
        zsync::this_fiber::yield();
      }
    });
    own.poll();
    const auto patience = std::chrono::steady_clock::now() + 10s;
    while (!woken && std::chrono::steady_clock::now() < patience) {
      const long before = turns;
      own.run_for(1ns);
      if (!woken) CHECK(turns > before);
    }
    CHECK(woken);
    own.run_until_idle();
  });
}

TEST_CASE("without any budget nothing runs, and the kernel and the timers are heard all the same",
          "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    bool woken = false;
    own.post([&] {
      zsync::this_fiber::sleep_for(1ms);
      woken = true;
    });
    own.poll();
    const auto patience = std::chrono::steady_clock::now() + 10s;
    while (own.next_deadline() && std::chrono::steady_clock::now() < patience) CHECK(own.run_for(0ns) == 0);
    CHECK_FALSE(own.next_deadline());
    CHECK_FALSE(woken);
    own.run_until_idle();
    CHECK(woken);
  });
}

TEST_CASE("a budget that is spent as a fiber joins a newborn in its own place loses nobody", "[loop][join]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    bool stop = false;
    long joined = 0;
    zsync::fiber parent = own.spawn([&] {
      while (!stop) {
        zsync::fiber child([&] { ++joined; });
        child.join();
      }
    });
    for (int i = 1; i <= 50; ++i) CHECK(own.run_for(std::chrono::microseconds{i}) > 0);
    CHECK(joined > 0);
    stop = true;
    CHECK(parent.join_for(1h));
  });
}
