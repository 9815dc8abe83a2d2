// Small programs of fibers, some with a race and some without: what the build for races between fibers has to
// report, and what it must not.
#pragma once

#include <zsync/zsync.hpp>

#include <chrono>
#include <span>
#include <vector>

namespace zsync::test {

using namespace std::chrono_literals;

struct race_program {
  const char* name;
  void (*body)();            // what the first fiber of a runtime does
  void (*main)() = nullptr;  // instead: on the plain thread
};

std::span<const race_program> racy_programs();
std::vector<race_program> race_free_programs();
std::span<const race_program> more_race_free_programs();  // a part of those

// Accesses that the compiler leaves alone.
inline void change(volatile int& n) { n = n + 1; }
inline int look_at(const int& n) { return *const_cast<const volatile int*>(&n); }

// One fiber writes and announces it, this one hears of that and reads.
template <class Announce, class Hear>
void hand_over(Announce announce, Hear hear) {
  for (int i = 0; i < 20; ++i) {
    int n = 0;
    fiber writes([&] {
      if (i % 2 != 0) this_fiber::yield();
      change(n);
      announce();
    });
    hear();
    change(n);
    writes.join();
  }
}

}  // namespace zsync::test
