// The waiting side of most primitives: stand in a queue until somebody claims.
#pragma once

#include <zsync/channel/wake_chain.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <cstdint>
#include <mutex>

namespace zsync::detail {

using spin_guard = std::unique_lock<spinlock>;

// Waits in `queue` until claimed. `guard` holds the queue's lock at the call; at the return it holds it
// again, unless the wait was notified: then the caller has been served, and the queue may be gone. If
// the caller is cancelled already it throws, with the lock released and after a turn for others.
wait_end wait_in(wait_queue& queue, spin_guard& guard, wait_kind why, const void* on, deadline until,
                 std::uint32_t accepts = wait::cancellable, void* slot = nullptr);

// Under the queue's lock: claims everyone in it.
void claim_all(wait_queue& queue, wake_chain& woken) noexcept;

}  // namespace zsync::detail
