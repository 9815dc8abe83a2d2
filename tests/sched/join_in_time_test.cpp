#include "support/catch.hpp"
#include "support/matrix.hpp"

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
    zsync::run(
        [] {
          std::atomic<bool> begun{false};
          zsync::fiber newborn([&] { begun = true; });
          {
            const auto until = zsync::clock::now() + 1us;
            const zsync::deadline_scope scope(until);
            while (zsync::clock::now() <= until) {
            }
            CHECK_THROWS_AS(newborn.join(), std::system_error);
          }
          CHECK_FALSE(begun);
          newborn.join();
        },
        options);
  });
}
