// The waiting side of most primitives: stand in a queue until somebody claims.
#pragma once

#include <zsync/channel/wake_chain.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <cstdint>
#include <mutex>

namespace zsync::detail {

using spin_guard = std::unique_lock<spinlock>;

// How a wait in a queue ended.
class wait_end {
 public:
  wait_end(wake_cause cause, bool scope_expired) noexcept : cause_(cause), scope_expired_(scope_expired) {}

  [[nodiscard]] bool notified() const noexcept { return cause_ == wake_cause::notified; }

  // True: notified. False: the caller's own deadline has passed. Everything else is thrown.
  [[nodiscard]] bool or_throw() const {
    if (notified()) [[likely]]
      return true;
    if (cause_ == wake_cause::timed_out && !scope_expired_) return false;
    throw_it();
  }

 private:
  [[noreturn]] void throw_it() const;

  wake_cause cause_;
  bool scope_expired_;
};

// Waits in `queue` until claimed. `guard` holds the queue's lock at the call; at the return, it holds it
// again unless the wait was notified: then whoever did has served the caller, and the queue may be gone.
wait_end wait_in(wait_queue& queue, spin_guard& guard, wait_kind why, const void* on, deadline until,
                 std::uint32_t accepts = wait::cancellable, void* slot = nullptr);

// Under the queue's lock: claims everyone in it.
void claim_all(wait_queue& queue, wake_chain& woken) noexcept;

}  // namespace zsync::detail
