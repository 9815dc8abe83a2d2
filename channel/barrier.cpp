#include <zsync/channel/barrier.hpp>

#include <zsync/sched/error.hpp>

namespace zsync::detail {

barrier_state::~barrier_state() {
  if (!waiters_.empty()) misuse("a barrier is destroyed while somebody waits for it");
}

barrier_state::arrival barrier_state::arrive(std::ptrdiff_t count, std::ptrdiff_t dropped) noexcept {
  const spin_guard guard(lock_);
  if (count <= 0 || count > left_) misuse("more arrive at a barrier than are expected");
  expected_ -= dropped;
  left_ -= count;
  return {phase_, left_ == 0};
}

void barrier_state::complete() noexcept {
  wake_chain woken;
  {
    const spin_guard guard(lock_);
    ++phase_;
    left_ = expected_;
    claim_all(waiters_, woken);
  }
  woken.schedule();
}

void barrier_state::wait(std::uint64_t phase) const {
  spin_guard guard(lock_);
  if (phase_ != phase) return;
  (void)wait_in(waiters_, guard, wait_kind::barrier, this, deadline::never()).or_throw();
}

}  // namespace zsync::detail
