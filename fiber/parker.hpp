// The state word of whoever can wait: a fiber, or a plain thread that uses a primitive of this library.
//
//            arm()                      claim(), request_cancel(), deposit_token()
//  settled ---------> open(accepts) ------------------------------------------------> settled
//
// settled: running, ready to run, or claimed and on its way to being resumed. Only the owner leaves it.
// open:    waiting. Whoever turns it back into settled has won the wait: it alone writes `cause` and
//          `fired`, and it alone makes the owner runnable, exactly once. So every wait ends with one
//          cause, whatever races.
// Two bits outlive a wait: a requested cancellation (sticky) and a wake token (taken by one park).
//
// That nothing is lost needs no order: all changes are read-modify-writes of one word, so of an opening and a
// request one comes first, and the second sees it. The orders are for what lies beside the word. A request
// releases what its sender did before, and whoever is ended by it acquires that: arm(), whichever of its
// looks finds the request. An opening releases what the owner has prepared, and the winner acquires it. What
// the winner does goes to the owner with schedule(), by the run queues.
#pragma once

#include <zsync/fiber/atomic.hpp>

#include <atomic>
#include <cstdint>

namespace zsync::detail {

enum class wake_cause : std::uint8_t { notified, timed_out, cancelled };

// What arm() found: the wait is open, or it is over before it began.
enum class arm_result : std::uint8_t { open, notified, cancelled };

class parker {
 public:
  enum bits : std::uint32_t {
    settled = 1,
    cancellable = 2,  // the open wait ends when cancellation is requested
    wakeable = 4,     // the open wait ends when a token is deposited
    cancel_bit = 8,
    token_bit = 16,
  };

  explicit parker(bool is_thread) noexcept : plain_thread(is_thread) {}
  parker(const parker&) = delete;
  parker& operator=(const parker&) = delete;

  // Owner only. Opens a wait that accepts the given of {cancellable, wakeable}.
  arm_result arm(std::uint32_t accepts) noexcept {
    std::uint32_t old = state_.load(std::memory_order_acquire);  // meets signal(), for a cancellation
    if (arm_result early = pending(old, accepts); early != arm_result::open) return early;
    // Nobody else changes these three bits while settled, so one addition sets all of them.
    const std::uint32_t delta = accepts - (old & (cancellable | wakeable)) - settled;
    // Releases to claim() and signal(). What close_early() finds it acquires by its claim().
    old = state_.fetch_add(delta, std::memory_order_release);
    if ((old & (cancel_bit | token_bit)) == 0) [[likely]]
      return arm_result::open;
    return close_early(old, accepts);
  }

  // Any thread that found the owner in a place it guards (a wait queue, a timer, an operation). True:
  // the caller has won the wait, sets `cause` and `fired`, and must then schedule the owner.
  [[nodiscard]] bool claim() noexcept {
    return (state_.fetch_or(settled, std::memory_order_acquire) & settled) == 0;  // meets arm()
  }

  // Any thread that holds a reference. True: as for claim(), with the cause `cancelled`.
  [[nodiscard]] bool request_cancel() noexcept { return signal(cancel_bit, cancellable, cancel_bit); }

  // Any thread that holds a reference. True: as for claim(), with the cause `notified`. Otherwise the
  // token stays for the next wait that accepts one. A token that ends a wait is not deposited as well: a
  // second wake that comes before the owner runs has to stay, or what it announces could be missed.
  [[nodiscard]] bool deposit_token() noexcept { return signal(token_bit, wakeable, 0); }

  [[nodiscard]] bool cancel_requested() const noexcept {  // meets request_cancel()
    return (state_.load(std::memory_order_acquire) & cancel_bit) != 0;
  }
  [[nodiscard]] bool is_waiting() const noexcept {  // meets arm()
    return (state_.load(std::memory_order_acquire) & settled) == 0;
  }

 private:
  atomic<std::uint32_t> state_{settled};

 public:
  // Written by the winner of a wait before it schedules the owner; read by the owner once resumed.
  wake_cause cause = wake_cause::notified;
  const bool plain_thread;  // false: this is a fiber_control
  std::uint16_t fired = 0;  // which of several sources ended the wait

 private:
  arm_result pending(std::uint32_t word, std::uint32_t accepts) noexcept {
    if ((accepts & cancellable) != 0 && (word & cancel_bit) != 0) return arm_result::cancelled;
    if ((accepts & wakeable) != 0 && (word & token_bit) != 0) {
      // Meets the last of those who deposited it: another one may have come since the caller's look.
      state_.fetch_and(~std::uint32_t{token_bit}, std::memory_order_acquire);
      return arm_result::notified;
    }
    return arm_result::open;
  }

  // A request came between the look and the opening, so its sender saw `settled` and left it to us.
  arm_result close_early(std::uint32_t word, std::uint32_t accepts) noexcept {
    const bool relevant = ((accepts & cancellable) != 0 && (word & cancel_bit) != 0) ||
                          ((accepts & wakeable) != 0 && (word & token_bit) != 0);
    if (!relevant || !claim()) return arm_result::open;  // lost: the winner schedules us, so go and park
    return pending(word, accepts);
  }

  bool signal(std::uint32_t bit, std::uint32_t accepted_by, std::uint32_t left_by_win) noexcept {
    std::uint32_t old = state_.load(std::memory_order_relaxed);  // a guess, for the exchange to confirm
    for (;;) {
      const bool wins = (old & settled) == 0 && (old & accepted_by) != 0;
      const std::uint32_t wanted = old | (wins ? left_by_win | settled : bit);
      // Also if it changes nothing: a second wake has something of its own to tell. Releases to arm() and
      // cancel_requested(); acquires from arm(), for who wins.
      if (state_.compare_exchange_weak(old, wanted, std::memory_order_acq_rel, std::memory_order_relaxed))
        return wins;
    }
  }
};

}  // namespace zsync::detail
