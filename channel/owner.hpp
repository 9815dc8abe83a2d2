// What identifies the holder of a lock: a fiber, or a thread that is not a worker.
#pragma once

#include <cstdint>

namespace zsync::detail {

class fiber_control;
fiber_control* current_fiber() noexcept;  // sched/worker.hpp

// An address: of the fiber's control block, or of what the system keeps for a thread. Never 0, and its lowest
// bit is free for use by others.
using owner_id = std::uintptr_t;

owner_id current_thread_owner() noexcept;

inline owner_id current_owner() noexcept {
  if (const fiber_control* const fiber = current_fiber()) [[likely]]
    return reinterpret_cast<owner_id>(fiber);
  return current_thread_owner();
}

}  // namespace zsync::detail
