// Whether a worker sleeps, for those who give it something. Not a public header.
//
//   awake --fall_asleep()--> sleeping --rouse() by one of those who give, or rise() by itself--> awake
//
// The worker says that it sleeps, then looks at what it was given; whoever gives does so, then looks whether
// it sleeps. All four are sequentially consistent, so one of the two sees the other.
#pragma once

#include <zsync/fiber/atomic.hpp>

#include <atomic>
#include <cstdint>

namespace zsync::detail {

class sleep_state {
 public:
  // The worker's own. Until it first rises it counts as asleep.
  void fall_asleep() noexcept { state_.store(sleeping, std::memory_order_seq_cst); }
  void rise() noexcept { state_.store(awake, std::memory_order_relaxed); }

  // Any thread. True: it slept, and it is for the caller to wake it.
  [[nodiscard]] bool rouse() noexcept {
    if (state_.load(std::memory_order_seq_cst) != sleeping) return false;
    return state_.exchange(awake, std::memory_order_seq_cst) == sleeping;
  }

  // Any thread; a moment's truth.
  [[nodiscard]] bool asleep() const noexcept { return state_.load(std::memory_order_relaxed) == sleeping; }

 private:
  static constexpr std::uint32_t awake = 0;
  static constexpr std::uint32_t sleeping = 1;

  atomic<std::uint32_t> state_{sleeping};
};

}  // namespace zsync::detail
