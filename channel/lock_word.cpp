#include <zsync/channel/lock_word.hpp>

namespace zsync::detail {

bool lock_word::lock_slowly(owner_id me, deadline until, std::uint32_t flags) {
  wait w(wait_kind::mutex, this, flags);
  std::unique_lock guard(queue_lock_);
  // Announce ourselves, so that the owner's unlock comes by the queue; or find it free after all, and acquire
  // what the release of its unlock made known. An announcement hands nothing over: relaxed, as is what it
  // looks at; the queue has its own lock.
  owner_id seen = word_.load(std::memory_order_relaxed);
  for (;;) {
    if (seen == 0) {
      if (word_.compare_exchange_weak(seen, me, std::memory_order_acquire, std::memory_order_relaxed))
        return true;
      continue;
    }
    if ((seen & ~contended) == me) misuse("a mutex is locked again by its owner");
    if ((seen & contended) != 0) break;
    if (word_.compare_exchange_weak(seen, seen | contended, std::memory_order_relaxed)) break;
  }

  // Nothing ends an uncancellable wait before it began.
  [[maybe_unused]] const bool opened = w.open();
  waiter place(w, 0, reinterpret_cast<void*>(me));
  waiters_.push_back(place);
  guard.unlock();
  const wait_end end = w.suspend(until);
  if (end.notified()) [[likely]]
    return true;  // and the owner
  give_up(place);
  return end.or_throw();
}

void lock_word::give_up(waiter& place) noexcept {
  const std::lock_guard guard(queue_lock_);
  waiters_.remove(place);
  // Relaxed, for it hands nothing over. With the queue empty, unlock need not look at it; and must not, once
  // nobody is left who knows of it.
  if (waiters_.empty()) word_.fetch_and(~contended, std::memory_order_relaxed);
}

void lock_word::unlock_slowly(owner_id me) noexcept {
  if (!is_held_by(me)) misuse("a mutex is unlocked by somebody who does not hold it");
  for (;;) {
    std::unique_lock guard(queue_lock_);
    if (waiter* const heir = waiters_.claim_front()) {
      const auto id = reinterpret_cast<owner_id>(heir->slot);
      // Release: met by try_lock() of others once the heir has unlocked; he himself is ordered by his wake.
      word_.store(waiters_.empty() ? id : id | contended, std::memory_order_release);
      guard.unlock();
      schedule(*heir->party);
      return;
    }
    // Those that waited gave up. It becomes free by the last access to it, since whoever has it next may
    // destroy it; unless somebody new has come to wait meanwhile.
    word_.store(me, std::memory_order_relaxed);  // still ours; released below, and met by the next try_lock()
    guard.unlock();
    owner_id expected = me;
    if (word_.compare_exchange_strong(expected, 0, std::memory_order_release, std::memory_order_relaxed))
      return;
  }
}

}  // namespace zsync::detail
