// What shared_mutex and shared_timed_mutex are made of.
//
// One queue for readers and writers, first come, first served. A reader that comes after a waiting writer
// waits behind it, so writers do not starve; a writer that leaves lets in all readers at the head of the
// queue, so readers do not starve either. The lock belongs to those that are let in before they run.
#pragma once

#include <zsync/channel/owner.hpp>
#include <zsync/channel/queue_wait.hpp>

#include <cstddef>

namespace zsync::detail {

class shared_lock_state {
 public:
  constexpr shared_lock_state() noexcept = default;
  shared_lock_state(const shared_lock_state&) = delete;
  shared_lock_state& operator=(const shared_lock_state&) = delete;
  ~shared_lock_state();

  // False: `until` has passed. Not cancellation points. Throw when a deadline scope ends the wait.
  bool lock(deadline until);
  bool lock_shared(deadline until);

  [[nodiscard]] bool try_lock() noexcept;
  [[nodiscard]] bool try_lock_shared() noexcept;
  void unlock() noexcept;
  void unlock_shared() noexcept;

  // The present holders: a writer, or so many readers.
  struct holders {
    owner_id writer;
    std::size_t readers;
  };
  [[nodiscard]] holders held_by() const noexcept {
    const spin_guard guard(lock_);
    return {writer_, readers_};
  }

 private:
  [[nodiscard]] bool may_write() const noexcept { return writer_ == 0 && readers_ == 0 && waiters_.empty(); }
  [[nodiscard]] bool may_read() const noexcept { return writer_ == 0 && waiters_.empty(); }
  bool wait(spin_guard& guard, owner_id writer, deadline until);
  void admit(wake_chain& woken) noexcept;

  mutable spinlock lock_;  // guards all of these
  owner_id writer_ = 0;
  std::size_t readers_ = 0;
  wait_queue waiters_;  // slot: a writer's owner_id; null for a reader
};

}  // namespace zsync::detail
