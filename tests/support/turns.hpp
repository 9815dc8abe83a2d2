// Who had a turn, and how often.
#pragma once

#include <zsync/sched/fiber.hpp>
#include <zsync/sched/this_fiber.hpp>

namespace zsync::test {

// How often another fiber of the worker had a turn while `busy` ran.
template <class F>
int turns_during(F busy) {
  bool stop = false;
  int turns = 0;
  fiber other([&] {
    while (!stop) {
      ++turns;
      this_fiber::yield();
    }
  });
  this_fiber::yield();
  const int before = turns;
  busy();
  const int after = turns;
  stop = true;
  other.join();
  return after - before;
}

}  // namespace zsync::test
