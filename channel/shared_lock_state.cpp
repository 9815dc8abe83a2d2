#include <zsync/channel/shared_lock_state.hpp>

#include <zsync/sched/error.hpp>

namespace zsync::detail {

shared_lock_state::~shared_lock_state() {
  if (writer_ != 0 || readers_ != 0) misuse("a shared mutex is destroyed while it is locked");
}

bool shared_lock_state::try_lock() noexcept {
  const owner_id me = current_owner();
  const spin_guard guard(lock_);
  if (!may_write()) return false;
  writer_ = me;
  return true;
}

bool shared_lock_state::try_lock_shared() noexcept {
  const spin_guard guard(lock_);
  if (!may_read()) return false;
  ++readers_;
  return true;
}

bool shared_lock_state::lock(deadline until) {
  const owner_id me = current_owner();
  spin_guard guard(lock_);
  if (may_write()) [[likely]] {
    writer_ = me;
    return true;
  }
  if (writer_ == me) misuse("a shared mutex is locked again by its owner");
  return wait(guard, me, until);
}

bool shared_lock_state::lock_shared(deadline until) {
  spin_guard guard(lock_);
  if (may_read()) [[likely]] {
    ++readers_;
    return true;
  }
  if (writer_ == current_owner()) misuse("a shared mutex is locked again by its owner");
  return wait(guard, 0, until);
}

void shared_lock_state::unlock() noexcept {
  const owner_id me = current_owner();
  wake_chain woken;
  {
    const spin_guard guard(lock_);
    if (writer_ != me) misuse("a shared mutex is unlocked by somebody who does not hold it");
    writer_ = 0;
    admit(woken);
  }
  woken.schedule();
}

void shared_lock_state::unlock_shared() noexcept {
  wake_chain woken;
  {
    const spin_guard guard(lock_);
    if (readers_ == 0) misuse("a shared mutex is unlocked by somebody who does not share it");
    if (--readers_ == 0) admit(woken);
  }
  woken.schedule();
}

bool shared_lock_state::wait(spin_guard& guard, owner_id writer, deadline until) {
  const wait_end end = wait_in(waiters_, guard, wait_kind::shared_mutex, this, until, wait::uncancellable,
                               reinterpret_cast<void*>(writer));
  if (end.notified()) [[likely]]
    return true;
  // A writer that gives up may have been all that held back the readers behind it.
  wake_chain woken;
  admit(woken);
  guard.unlock();
  woken.schedule();
  return end.or_throw();
}

void shared_lock_state::admit(wake_chain& woken) noexcept {
  while (waiter* const next = waiters_.front()) {
    const auto writer = reinterpret_cast<owner_id>(next->slot);
    if (writer_ != 0 || (writer != 0 && readers_ != 0)) return;
    waiters_.remove(*next);
    if (!next->claim()) continue;
    if (writer != 0) {
      writer_ = writer;
    } else {
      ++readers_;
    }
    woken.add(*next);
  }
}

}  // namespace zsync::detail
