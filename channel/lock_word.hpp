// What all exclusive locks are made of: a word that names the owner, and a queue of those that wait.
//
//   0                       free
//   owner                   held, nobody waits
//   owner | contended       held, the queue has somebody in it
//
//   free -> owner           try_lock                       one compare-and-swap, no other lock
//   owner -> free           unlock                         likewise
//   owner -> contended      lock that has to wait          under queue_lock_
//   contended -> owner      unlock with waiters: the oldest becomes the owner before it runs; or the last
//                           waiter of the queue gives up   under queue_lock_
//
// A lock is handed over in the order of arrival, so nobody starves, and a waiter that is woken has the lock.
// unlock() touches nothing after the lock has changed hands, so the new owner may destroy it.
#pragma once

#include <zsync/channel/owner.hpp>
#include <zsync/fiber/atomic.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <atomic>
#include <mutex>

namespace zsync::detail {

class lock_word {
 public:
  lock_word() noexcept = default;  // constexpr, as its parts are
  lock_word(const lock_word&) = delete;
  lock_word& operator=(const lock_word&) = delete;
  ~lock_word() {
    if (word_.load(std::memory_order_relaxed) != 0) [[unlikely]]
      misuse("a mutex is destroyed while it is locked");
  }

  [[nodiscard]] bool try_lock(owner_id me) noexcept {
    owner_id expected = 0;
    return word_.compare_exchange_strong(expected, me, std::memory_order_acquire, std::memory_order_relaxed);
  }

  // False: `until` has passed. Throws std::system_error(timed_out) when a deadline scope ends the wait,
  // unless it is wait::unscoped.
  bool lock(owner_id me, deadline until = deadline::never(), std::uint32_t flags = wait::uncancellable) {
    if (try_lock(me)) [[likely]]
      return true;
    return lock_slowly(me, until, flags);
  }

  void unlock(owner_id me) noexcept {
    owner_id expected = me;
    if (word_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed))
        [[likely]]
      return;
    unlock_slowly(me);
  }

  [[nodiscard]] bool is_held_by(owner_id id) const noexcept {
    return (word_.load(std::memory_order_relaxed) & ~contended) == id;
  }

  [[nodiscard]] owner_id holder() const noexcept {  // 0: free; true of a moment that may have passed
    return word_.load(std::memory_order_relaxed) & ~contended;
  }

 private:
  static constexpr owner_id contended = 1;

  bool lock_slowly(owner_id me, deadline until, std::uint32_t flags);
  [[gnu::noinline]] void give_up(waiter& place) noexcept;
  void unlock_slowly(owner_id me) noexcept;

  atomic<owner_id> word_{0};
  spinlock queue_lock_;
  wait_queue waiters_;  // queue_lock_; slot: the waiter's owner_id
};

}  // namespace zsync::detail
