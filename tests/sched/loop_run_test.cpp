#include <zsync/sched/loop.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"

#include <chrono>
#include <thread>

using namespace std::chrono_literals;

TEST_CASE("a loop whose last fiber ends within run returns from it", "[loop]") {
  zsync::loop own;
  own.post([] { zsync::this_fiber::sleep_for(1ms); });
  own.poll();
  std::this_thread::sleep_for(10ms);  // so that nothing is left to wait for in the kernel
  own.run();
  CHECK(own.stats().fibers_alive == 0);
}
