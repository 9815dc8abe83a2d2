#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <numeric>
#include <thread>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kib = 1024;
std::atomic<unsigned char> sink = 0;

template <std::size_t Bytes>
__attribute__((noinline)) void touch() {
  volatile unsigned char frame[Bytes];
  for (std::size_t i = 0; i < Bytes; i += 512) frame[i] = 1;
  sink = frame[Bytes / 2];
}

std::size_t counted(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("the report says for each place how much of their stacks its fibers touched", "[stack]") {
  test::matrix({.backends = false, .policies = true}, [](zsync::runtime_options options) {
    options.measure_stacks = true;
    options.stack_size = 512 * kib;
    zsync::runtime own(options);
    own.block_on([] {
      for (int i = 0; i < 50; ++i) {
        zsync::task_group both;
        both.spawn([] { touch<200 * kib>(); });
        both.spawn([] { zsync::this_fiber::yield(); });  // on a stack that the other may have had
        both.wait();
      }
    });
    // Who was joined is measured right after that.
    auto report = own.stack_report();
    const auto all = [&] {
      return std::accumulate(report.begin(), report.end(), std::uint64_t{0},
                             [](auto n, auto& r) { return n + r.fibers; });
    };
    for (int i = 0; i < 1000 && all() != 101; ++i) {
      std::this_thread::sleep_for(1ms);
      report = own.stack_report();
    }
    REQUIRE(report.size() == 3);
    CHECK(report[0].touched_max >= 200 * kib);
    CHECK(report[0].touched_max < 300 * kib);
    CHECK(report[0].fibers == 50);
    CHECK(report[0].stack_size == 512 * kib);
    CHECK(report[0].spawned_at != nullptr);
    CHECK_FALSE(report[0].site.empty());
    CHECK(report[1].touched_max < 100 * kib);
    CHECK(report[2].touched_max < 100 * kib);
    CHECK(report[1].fibers + report[2].fibers == 51);
  });
}

namespace {

// Two places that are inlined nowhere, and differ, or a compiler may make one of them; what they call may be
// the same function.
using site = const void*;
[[gnu::noinline]] site one_place(const std::function<site()>& f) {
  const site found = zsync::run(f, {.workers = 1});
  return found;
}
[[gnu::noinline]] site another_place(const std::function<site()>& f) {
  const site found = zsync::run(f, {.workers = 1, .name = "another"});
  return found;
}

}  // namespace

TEST_CASE("what run() runs is said to be spawned where run() was called", "[stack]") {
  const std::function<site()> asks = [] { return zsync::detail::current_fiber()->spawned_at; };
  CHECK(one_place(asks) != another_place(asks));
}

TEST_CASE("a measured fiber that is stolen keeps what its stack holds", "[stack]") {
  zsync::runtime_options options;
  options.workers = 2;
  options.policy = zsync::scheduling::work_stealing;
  options.measure_stacks = true;
  zsync::runtime own(options);
  std::atomic<int> spoilt = 0;
  own.block_on([&] {
    const auto until = zsync::clock::now() + 20s;
    while (own.stats().fibers_stolen < 20 && zsync::clock::now() < until) {
      zsync::task_group all;
      for (int i = 0; i < 8; ++i) {
        all.spawn([&] {
          volatile int held[8 * kib];
          for (int k = 0; k < int{8 * kib}; ++k) held[k] = k + 1;
          for (int k = 0; k < 50; ++k) zsync::this_fiber::yield();
          for (int k = 0; k < int{8 * kib}; ++k) spoilt += held[k] != k + 1;
        });
      }
      all.wait();
    }
  });
  CHECK(own.stats().fibers_stolen >= 20);
  CHECK(spoilt == 0);
}

TEST_CASE("nobody measures unasked", "[stack]") {
  zsync::runtime own({.workers = 1});
  own.block_on([] { touch<64 * kib>(); });
  CHECK(own.stack_report().empty());
}

TEST_CASE("places whose fibers come near the end of their stacks are reported once each", "[stack]") {
  const auto result = test::run_in_child([] {
    zsync::runtime_options options;
    options.workers = 2;
    options.stack_size = 256 * kib;
    options.stack_warning_percent = 75;
    zsync::runtime own(options);
    for (int i = 0; i < 10; ++i) own.spawn({.name = "deep"}, [] { touch<200 * kib>(); }).join();
    for (int i = 0; i < 10; ++i) own.spawn({.name = "flat"}, [] { touch<50 * kib>(); }).join();
    for (int i = 0; i < 10; ++i) own.spawn({.name = "deep, too"}, [] { touch<200 * kib>(); }).join();
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(counted(result.err, "zsync: ") == 2);
  CHECK_THAT(result.err, Contains("'deep' touched "));
  CHECK_THAT(result.err, Contains("'deep, too' touched "));
  CHECK_THAT(result.err, Contains(" of the 262144 bytes of its stack; spawned at "));
}
