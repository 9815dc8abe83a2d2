// What the soak is made of: actors, each a fiber that works one part of zsync under chaos and keeps its own
// figures.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace zsync::soak {

// Written by the actor's fibers, read by the reporter.
struct tally {
  std::atomic<std::uint64_t> done{0};       // rounds that went to their end
  std::atomic<std::uint64_t> disturbed{0};  // rounds that a cancel, a deadline or a fault ended, as was to be
  std::atomic<std::uint64_t> wrong{0};  // anything that may never be: lost or altered data, an early timer
  std::atomic<std::uint64_t> latest_us{0};  // the worst lateness since the last report

  void late(std::uint64_t us) {
    std::uint64_t seen = latest_us.load(std::memory_order_relaxed);
    while (seen < us && !latest_us.compare_exchange_weak(seen, us, std::memory_order_relaxed)) {
    }
  }
};

// splitmix64: small, fast, and the same everywhere, so that a seed means the same run.
class randomness {
 public:
  explicit randomness(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

// One round after the other until it is cancelled. `round` may throw whatever an interrupted wait throws.
struct actor {
  std::string name;
  std::function<void(tally&, randomness&)> round;
  unsigned fibers = 1;  // how many do so side by side
};

actor echo_actor();
actor channel_actor();
actor lock_actor();
actor select_actor();
actor tree_actor();
actor timer_actor();
actor thread_actor();

}  // namespace zsync::soak
