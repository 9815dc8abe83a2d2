// What the tests of this folder share.
#pragma once

#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/sched/dump.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace zsync::test {

using namespace std::chrono_literals;

// How fibers meet does not depend on the kernel's interface: workers x policies, one backend.
template <class F>
void over_workers(F body) {
  matrix(axes{.workers = true, .backends = false, .policies = true},
         [&](const runtime_options& options) { run([&] { body(); }, options); });
}

// How many fibers of the calling fiber's runtime neither wait nor have ended, the caller among them.
inline std::uint64_t fibers_at_work() {
  detail::scheduler& all = detail::current_worker()->owner();
  std::ostringstream text;
  detail::dump(all, text);
  const std::string dump = text.str();
  const std::string_view waits = "': waiting, ";
  std::uint64_t waiting = 0;
  for (std::size_t at = 0; (at = dump.find(waits, at)) != std::string::npos; at += waits.size()) ++waiting;
  const std::uint64_t alive = all.stats().fibers_alive;
  return alive > waiting ? alive - waiting : 0;
}

// Until all other fibers of this runtime wait or have ended: a worker may have to wait for a processor for
// any time, so no sleep is long enough. Gives up where somebody has work for ever.
inline void let_others_wait() {
  for (int i = 0; i < 200; ++i) {
    this_fiber::sleep_for(500us);
    if (i >= 2 && fibers_at_work() <= 1) return;
  }
}

// How much a stress test does: `usual`, less of it under sanitizers, or the number in ZSYNC_STRESS, for the
// long suite.
inline std::uint64_t stress_size(std::uint64_t usual) {
  const char* const asked = std::getenv("ZSYNC_STRESS");
  if (asked == nullptr) return sanitized ? usual / 8 : usual;
  return std::strtoull(asked, nullptr, 10);
}

// A generator of random numbers that is the same everywhere.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed * 2862933555777941757U + 3037000493U) {}
  std::uint64_t roll(std::uint64_t sides) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ % sides;
  }

 private:
  std::uint64_t state_;
};

// Its move constructor throws when told to; it knows how many of them live.
struct fragile {
  static inline std::atomic<int> alive = 0;
  static inline std::atomic<int> moves_left = -1;  // then the next one throws; -1: never

  explicit fragile(int v) : value(v) { ++alive; }
  fragile(fragile&& other) : value(other.value) {
    if (moves_left == 0) {
      moves_left = -1;
      throw std::string("fragile");
    }
    if (moves_left > 0) --moves_left;
    other.value = 0;
    ++alive;
  }
  fragile& operator=(fragile&& other) {
    if (moves_left == 0) {
      moves_left = -1;
      throw std::string("fragile");
    }
    if (moves_left > 0) --moves_left;
    value = std::exchange(other.value, 0);
    return *this;
  }
  ~fragile() { --alive; }

  int value;
};

}  // namespace zsync::test
