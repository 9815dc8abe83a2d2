#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/stopped_clock.hpp"

#include <zsync/sched/error.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <chrono>
#include <system_error>

using namespace std::chrono_literals;
namespace test = zsync::test;

namespace {

constexpr test::axes one_worker{.workers = false, .policies = true};

}  // namespace

TEST_CASE("a join that has no time left does not run whom it joins", "[fiber][join]") {
  test::matrix(one_worker, [](zsync::runtime_options options) {
    options.workers = 1;
    const test::stopped_clock time;  // or the worker may take what has passed for what is to come
    zsync::run(
        [] {
          std::atomic<bool> begun{false};
          zsync::fiber newborn([&] { begun = true; });
          CHECK_FALSE(newborn.join_for(0s));
          CHECK_FALSE(newborn.join_until(zsync::clock::now() - 1ms));
          CHECK_FALSE(begun);
          newborn.join();
          CHECK(begun);
        },
        options);
  });
}

TEST_CASE("a scope that has expired ends the join of a newborn", "[fiber][join]") {
  test::matrix(one_worker, [](zsync::runtime_options options) {
    options.workers = 1;
    test::stopped_clock time;
    zsync::run(
        [&] {
          std::atomic<bool> begun{false};
          zsync::fiber newborn([&] { begun = true; });
          {
            const zsync::deadline_scope scope(1us);
            time.advance(1us);
            CHECK_THROWS_AS(newborn.join(), std::system_error);
          }
          CHECK_FALSE(begun);
          newborn.join();
        },
        options);
  });
}
