#include <zsync/channel/latch.hpp>

#include <zsync/sched/error.hpp>

namespace zsync {

using detail::spin_guard;

latch::~latch() {
  if (!waiters_.empty()) detail::misuse("a latch is destroyed while somebody waits for it");
}

void latch::count_down(std::ptrdiff_t by) noexcept {
  detail::wake_chain woken;
  {
    const spin_guard guard(lock_);
    if (by < 0 || by > left_) detail::misuse("a latch is counted down below zero");
    left_ -= by;
    if (left_ == 0) detail::claim_all(waiters_, woken);
  }
  woken.schedule();
}

bool latch::try_wait() const noexcept {
  const spin_guard guard(lock_);
  return left_ == 0;
}

bool latch::wait_until(deadline until) const {
  spin_guard guard(lock_);
  if (left_ == 0) return true;
  return detail::wait_in(waiters_, guard, detail::wait_kind::latch, this, until).or_throw();
}

void latch::arrive_and_wait(std::ptrdiff_t by) {
  {
    spin_guard guard(lock_);
    if (by < 0 || by > left_) detail::misuse("a latch is counted down below zero");
    if (by != left_) {
      left_ -= by;
      (void)detail::wait_in(waiters_, guard, detail::wait_kind::latch, this, deadline::never()).or_throw();
      return;
    }
  }
  count_down(by);
}

}  // namespace zsync
