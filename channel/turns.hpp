// Turns for others. A fiber whose operations never have to wait would keep its worker for itself, and hold up
// the timers and the I/O of that worker. So once in a while an operation that has succeeded lets all ready
// fibers run before it returns. Operations that promise never to wait do not, since their caller may hold a
// std::mutex: try_..., and sends to unbounded channels, broadcasts and watches; nor do locks, semaphores and
// events. A select does in any case, because loops are made around it.
#pragma once

#include <cstdint>
#include <limits>

namespace zsync::detail {

// Successes without a wait. A message takes some 10 ns, so that this is within a few microseconds.
inline constexpr std::uint32_t turn_every = 256;

// Counts those of one end of a channel; guarded by its lock.
class streak {
 public:
  // True: the caller should give a turn, with the lock released.
  [[nodiscard]] bool is_long() noexcept { return ++successes_ == 0; }
  void end() noexcept { successes_ = 0; }  // somebody waits

 private:
  std::uint8_t successes_ = 0;  // as many as turn_every make it zero again
};
static_assert(turn_every == std::uint32_t{1} + std::numeric_limits<std::uint8_t>::max());

}  // namespace zsync::detail
