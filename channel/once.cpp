#include <zsync/channel/once.hpp>

namespace zsync {

using detail::spin_guard;

bool once_flag::begin() {
  spin_guard guard(lock_);
  for (;;) {
    switch (state_.load(std::memory_order_relaxed)) {
      case done:
        return false;
      case untouched:
        state_.store(running, std::memory_order_relaxed);
        return true;
      case running:
        break;
    }
    const detail::wait_end end = detail::wait_in(waiters_, guard, detail::wait_kind::once, this,
                                                 deadline::never(), detail::wait::uncancellable);
    (void)end.or_throw();
    guard.lock();
  }
}

void once_flag::finish(bool success) noexcept {
  detail::wake_chain woken;
  {
    const spin_guard guard(lock_);
    state_.store(success ? done : untouched, std::memory_order_release);
    detail::claim_all(waiters_, woken);
  }
  woken.schedule();
}

}  // namespace zsync
