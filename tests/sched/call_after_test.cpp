#include <zsync/sched/call_after.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>

#include "support/catch.hpp"
#include "support/in_fiber.hpp"
#include "support/matrix.hpp"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

constexpr test::axes workers_and_policies{.backends = false, .policies = true};

void wait_for(const std::function<bool()>& truth) {
  for (int i = 0; i < 5000 && !truth(); ++i) zsync::this_fiber::sleep_for(1ms);
}

}  // namespace

TEST_CASE("a delayed call comes in a fiber of its own, and not too early", "[call_after]") {
  test::in_fiber(workers_and_policies, [] {
    std::atomic<bool> called = false, in_fiber = false;
    std::atomic<zsync::clock::duration::rep> took = 0;
    const auto begin = zsync::clock::now();
    const auto mine = zsync::this_fiber::get_id();
    auto t = zsync::call_after(20ms, [&] {
      took = (zsync::clock::now() - begin).count();
      zsync::this_fiber::yield();
      in_fiber = zsync::this_fiber::inside() && zsync::this_fiber::get_id() != mine;
      called = true;
    });
    CHECK(t.pending());
    wait_for([&] { return called.load(); });
    REQUIRE(called);
    CHECK(in_fiber);
    CHECK(took >= std::chrono::nanoseconds(20ms).count());
    CHECK_FALSE(t.pending());
    CHECK_FALSE(t.cancel());
  });
}

TEST_CASE("a delayed call may be for a point in time", "[call_after]") {
  test::in_fiber(workers_and_policies, [] {
    std::atomic<bool> called = false, early = false;
    const auto when = zsync::clock::now() + 20ms;
    auto t = zsync::call_at(when, [&] {
      early = zsync::clock::now() < when;
      called = true;
    });
    wait_for([&] { return called.load(); });
    REQUIRE(called);
    CHECK_FALSE(early);
    CHECK_FALSE(t.cancel());
  });
  zsync::loop own;
  bool called = false;
  auto past = own.call_at(std::chrono::steady_clock::now() - 1h, [&] { called = true; });
  own.run();
  CHECK(called);
}

TEST_CASE("a cancelled call never comes, and its closure is gone at once", "[call_after]") {
  test::in_fiber(workers_and_policies, [] {
    const auto held = std::make_shared<int>(1);
    std::atomic<int> calls = 0;
    auto t = zsync::call_after(5ms, [held, &calls] { ++calls; });
    CHECK(t.cancel());
    CHECK(held.use_count() == 1);
    CHECK_FALSE(t.pending());
    CHECK_FALSE(t.cancel());
    {
      const auto dropped = zsync::call_after(5ms, [held, &calls] { ++calls; });
    }
    CHECK(held.use_count() == 1);
    auto replaced = zsync::call_after(5ms, [held, &calls] { ++calls; });
    replaced = zsync::timer();
    CHECK(held.use_count() == 1);
    zsync::call_after(1ms, [held, &calls] { calls += 10; }).detach();
    wait_for([&] { return calls != 0; });
    zsync::this_fiber::sleep_for(20ms);
    CHECK(calls == 10);
    CHECK(held.use_count() == 1);
  });
}

TEST_CASE("a timer may be cancelled and replaced from within its own call", "[call_after][turns]") {
  test::in_fiber(workers_and_policies, [] {
    zsync::timer t;
    std::atomic<int> calls = 0;
    std::function<void()> tick = [&] {
      CHECK_FALSE(t.cancel());
      if (++calls < 5) t = zsync::call_after(1ms, [&] { tick(); });
    };
    t = zsync::call_after(1ms, [&] { tick(); });
    wait_for([&] { return calls == 5; });
    CHECK(calls == 5);
    zsync::this_fiber::sleep_for(5ms);
  });
}

TEST_CASE("of a call and its cancellation, from whatever thread, exactly one comes", "[call_after]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    constexpr int rounds = 2000;
    std::atomic<int> called = 0;
    int cancelled = 0;
    for (int i = 0; i < rounds; ++i) {
      // From here, so that arming, expiry and cancellation are on different threads.
      auto t = own.call_after(std::chrono::microseconds(i % 100), [&] { ++called; });
      if (i % 3 != 0) std::this_thread::sleep_for(std::chrono::microseconds(i % 70));
      cancelled += t.cancel() ? 1 : 0;
    }
    for (int i = 0; i < 5000 && called + cancelled < rounds; ++i) std::this_thread::sleep_for(1ms);
    CHECK(called + cancelled == rounds);
    CHECK(cancelled > 0);
    CHECK(test::fibers_left(own) == 0);
  });
}

TEST_CASE("a call that another worker's fiber cancels leaves its worker's timers by that worker alone",
          "[call_after]") {
  zsync::runtime own({.workers = 2});
  zsync::timer call;
  std::atomic<bool> asked = false;
  std::atomic<bool> cancelled = false;
  auto home = own.spawn({.worker = 0}, [&] {
    auto& timers = zsync::detail::current_worker()->timers();
    call = zsync::call_after(1h, [] {});
    const std::size_t before = timers.size();
    asked = true;
    while (!cancelled) std::this_thread::yield();  // holds the worker, so nobody may touch its timers
    return timers.size() == before;
  });
  auto canceller = own.spawn({.worker = 1}, [&] {
    while (!asked) zsync::this_fiber::yield();
    const bool in_time = call.cancel();
    cancelled = true;
    return in_time;
  });
  CHECK(canceller.join());
  CHECK(home.join());
}

TEST_CASE("the end of the runtime cancels what has not come, and destroys it", "[call_after]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    const auto held = std::make_shared<int>(1);
    std::atomic<int> calls = 0;
    std::optional<zsync::timer> outlives;
    {
      zsync::runtime own(options);
      own.block_on([&] {
        for (int i = 0; i < 10; ++i) zsync::call_after(1h, [held, &calls] { ++calls; }).detach();
        outlives = zsync::call_after(1h, [held, &calls] { ++calls; });
      });
      own.call_after(1h, [held, &calls] { ++calls; }).detach();
    }
    CHECK(calls == 0);
    CHECK(held.use_count() == 1);
    CHECK_FALSE(outlives->cancel());
  });
}

TEST_CASE("a call that is asked for while the runtime ends is cancelled too, and keeps nobody waiting",
          "[call_after]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    const auto held = std::make_shared<int>(1);
    std::atomic<bool> begun = false, called = false;
    zsync::runtime own(options);
    own.post([&] {
      begun = true;
      try {
        zsync::this_fiber::park();
      } catch (const zsync::cancelled&) {
        zsync::call_after(1h, [held, &called] { called = true; }).detach();
        throw;
      }
    });
    while (!begun) std::this_thread::sleep_for(100us);
    CHECK(own.shutdown(20s));
    CHECK_FALSE(called);
    CHECK(held.use_count() == 1);
  });
}

TEST_CASE("a loop runs until its delayed calls have come", "[call_after][turns]") {
  zsync::loop own;
  int calls = 0;
  auto first = own.call_after(5ms, [&] { ++calls; });
  auto never = own.call_after(1h, [&] { ++calls; });
  own.call_after(2ms,
                 [&] {
                   ++calls;
                   CHECK(never.cancel());
                 })
      .detach();
  own.run();
  CHECK(calls == 2);
  auto polled = own.call_after(1ms, [&] { ++calls; });
  for (int i = 0; i < 1000 && calls != 3; ++i) {
    own.poll();
    std::this_thread::sleep_for(1ms);
  }
  CHECK(calls == 3);
}

TEST_CASE("outside any runtime there is nobody to call later", "[call_after]") {
  CHECK_THROWS_AS(std::ignore = zsync::call_after(1ms, [] {}), std::system_error);
}
