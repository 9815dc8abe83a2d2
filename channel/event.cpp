#include <zsync/channel/event.hpp>

#include <zsync/sched/error.hpp>

namespace zsync {

using detail::spin_guard;

event::~event() {
  if (!waiters_.empty()) detail::misuse("an event is destroyed while somebody waits for it");
}

void event::set() noexcept {
  detail::wake_chain woken;
  {
    const spin_guard guard(lock_);
    if (mode_ == manual_reset) {
      set_ = true;
      detail::claim_all(waiters_, woken);
    } else if (detail::waiter* const one = waiters_.claim_front()) {
      woken.add(*one);
    } else {
      set_ = true;
    }
  }
  woken.schedule();
}

void event::reset() noexcept {
  const spin_guard guard(lock_);
  set_ = false;
}

bool event::is_set() const noexcept {
  const spin_guard guard(lock_);
  return set_;
}

bool event::take() noexcept {
  if (!set_) return false;
  if (mode_ == auto_reset) set_ = false;
  return true;
}

bool event::try_wait() noexcept {
  const spin_guard guard(lock_);
  return take();
}

bool event::wait_until(deadline until) {
  spin_guard guard(lock_);
  if (take()) return true;
  return detail::wait_in(waiters_, guard, detail::wait_kind::event, this, until).or_throw();
}

bool event::enlist(detail::waiter& me) noexcept {
  const spin_guard guard(lock_);
  if (set_) return false;
  waiters_.push_back(me);
  return true;
}

void event::withdraw(detail::waiter& me) noexcept {
  const spin_guard guard(lock_);
  waiters_.remove(me);
}

}  // namespace zsync
