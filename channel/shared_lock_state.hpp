// What shared_mutex and shared_timed_mutex are made of.
//
// One queue for both kinds, first come, first served: a reader that comes after a waiting writer waits behind
// it, so writers do not starve; a writer that leaves lets in the whole run of readers at the head, so neither
// do they. A lock passes to the head of the queue before that runs.
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

  // Who has it now: a writer, or so many readers.
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
