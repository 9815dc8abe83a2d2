// What becomes of stacks when their fibers have ended.
#include "support/in_fiber.hpp"

#include <zsync/fiber/stack.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/stack_tidying.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <vector>

namespace test = zsync::test;

TEST_CASE("fibers that follow one another need no more stacks than live at once", "[stack]") {
  test::matrix({.backends = false, .policies = true}, [](const zsync::runtime_options& options) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{32 * 1024}}) {
      zsync::runtime own(options);
      constexpr int at_once = 10;
      for (int round = 0; round < 60; ++round) {
        std::vector<zsync::fiber<void>> some;
        for (int i = 0; i < at_once; ++i) {
          some.push_back(own.spawn({.stack_size = size}, [] { zsync::this_fiber::yield(); }));
        }
        for (auto& one : some) one.join();
      }
      // Each worker keeps some for its next fibers.
      CHECK(own.stats().stacks <= at_once + 34 * options.workers);
    }
  });
}

// Nothing is released any more, so nobody else would look at them.
TEST_CASE("stacks that a burst has used deeply are returned by a worker that has nothing else to do",
          "[stack]") {
  zsync::detail::stack_pool pool;
  zsync::detail::stack_tidying tidying(pool);
  std::vector<zsync::detail::stack> all;
  for (int i = 0; i < 100; ++i) all.push_back(pool.allocate(256 * 1024));
  for (const auto& one : all) pool.release(one);
  const auto now = zsync::clock::now();
  zsync::deadline until;
  CHECK_FALSE(tidying.before_sleep(now, until));
  CHECK_FALSE(until.is_never());  // it comes again
  while (tidying.before_sleep(until.time(), until)) {
  }
  CHECK(pool.excess() == 0);
  zsync::deadline rested;
  CHECK_FALSE(tidying.before_sleep(until.time(), rested));
  CHECK(rested.is_never());
}
