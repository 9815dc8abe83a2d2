// A frame that steps over the guard, compiled without what would touch each of its pages.
#include <zsync/sched/runtime.hpp>

#include "support/catch.hpp"
#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <csignal>

namespace test = zsync::test;

namespace {

__attribute__((noinline)) int touch_far_below() {
  volatile char frame[1 << 20];
  frame[0] = 1;
  return frame[0];
}

}  // namespace

TEST_CASE("a stack pointer that has left its stack is an overflow wherever it points", "[overflow]") {
  if (test::sanitized) return;  // its own checks come first
  const auto ended = test::run_in_child([] {
    zsync::runtime own({.workers = 1, .stack_size = 16 * 1024});
    own.spawn({.name = "far"}, [] { return touch_far_below(); }).join();
  });
  CHECK_THAT(ended.err, Catch::Contains("zsync: stack overflow in fiber 1 'far'"));
  CHECK(ended.signal == SIGSEGV);
}
