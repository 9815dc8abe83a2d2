// A cancelled fiber that waits again, whatever it is told.
#pragma once

#include <zsync/sched/error.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <chrono>

namespace zsync::test {

// It waits by `wait`, again and again, on one worker with somebody who needs some turns before he ends that.
template <class F>
void go_on_beside_others(F wait) {
  std::atomic<bool> over{false};
  fiber stubborn({.worker = 0}, [&] {
    while (!over) {
      try {
        wait();
      } catch (const cancelled&) {
      }
    }
  });
  stubborn.cancel();
  fiber neighbour({.worker = 0}, [&] {
    for (int i = 0; i < 10; ++i) this_fiber::sleep_for(std::chrono::microseconds{100});
    over = true;
  });
  neighbour.join();
  stubborn.join();
}

}  // namespace zsync::test
