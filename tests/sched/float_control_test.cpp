// How floating-point arithmetic rounds belongs to the fiber, as errno does.
#include "support/in_fiber.hpp"

#include <zsync/sched/fiber.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <cfenv>
#include <vector>

namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.backends = false, .policies = true};

// What the arithmetic does, rather than what the control word says.
bool rounds_up() {
  volatile double one = 1.0;
  volatile double little = 1e-30;
  return one + little > 1.0;
}

}  // namespace

TEST_CASE("a fiber begins with ordinary rounding, whatever its spawner or the fiber before it has set",
          "[float]") {
  test::in_fiber(everything, [] {
    const auto begins_ordinary = [] { return !rounds_up() && std::fegetround() == FE_TONEAREST; };
    zsync::fiber([&] {
      std::fesetround(FE_UPWARD);
      // On a stack of its own, made while the spawner's rounding was in force.
      CHECK(zsync::fiber(begins_ordinary).join());
      CHECK(rounds_up());
    }).join();
    // On the stack, and right after the end, of one that left its rounding behind.
    std::vector<zsync::fiber<bool>> followers;
    for (int i = 0; i < 20; ++i) {
      followers.emplace_back([&] {
        const bool ordinary = begins_ordinary();
        std::fesetround(FE_UPWARD);
        return ordinary;
      });
    }
    for (auto& one : followers) CHECK(one.join());
    CHECK_FALSE(rounds_up());
  });
}

TEST_CASE("a fiber's rounding stays its own while others run", "[float]") {
  test::in_fiber(everything, [] {
    std::vector<zsync::fiber<bool>> all;
    for (const int mode : {FE_UPWARD, FE_TONEAREST, FE_DOWNWARD, FE_UPWARD}) {
      all.emplace_back([mode] {
        std::fesetround(mode);
        bool kept = true;
        for (int i = 0; i < 20; ++i) {
          this_fiber::yield();
          kept = kept && std::fegetround() == mode && rounds_up() == (mode == FE_UPWARD);
        }
        return kept;
      });
    }
    for (auto& one : all) CHECK(one.join());
  });
}
