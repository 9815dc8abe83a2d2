// What becomes of stacks when their fibers have ended.
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
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
