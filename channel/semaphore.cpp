#include <zsync/channel/semaphore.hpp>

#include <zsync/sched/error.hpp>

namespace zsync::detail {

semaphore_state::~semaphore_state() {
  if (!waiters_.empty()) misuse("a semaphore is destroyed while somebody waits for it");
}

void semaphore_state::release(std::ptrdiff_t count, std::ptrdiff_t available_max) noexcept {
  wake_chain woken;
  {
    const spin_guard guard(lock_);
    if (count < 0 || count > available_max - available_) misuse("a semaphore is released beyond its maximum");
    for (; count > 0; --count) {
      waiter* const next = waiters_.claim_front();
      if (next == nullptr) break;
      woken.add(*next);
    }
    available_ += count;
  }
  woken.schedule();
}

bool semaphore_state::try_acquire() noexcept {
  const spin_guard guard(lock_);
  if (available_ == 0) return false;
  --available_;
  return true;
}

bool semaphore_state::acquire(deadline until) {
  spin_guard guard(lock_);
  if (available_ != 0) [[likely]] {
    --available_;
    return true;
  }
  return wait_in(waiters_, guard, wait_kind::semaphore, this, until).or_throw();
}

}  // namespace zsync::detail
