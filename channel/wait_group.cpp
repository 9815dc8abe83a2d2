#include <zsync/channel/wait_group.hpp>

#include <zsync/sched/error.hpp>

namespace zsync {

using detail::spin_guard;

wait_group::~wait_group() {
  if (!waiters_.empty()) detail::misuse("a wait group is destroyed while somebody waits for it");
}

void wait_group::add(std::ptrdiff_t count) noexcept {
  detail::wake_chain woken;
  {
    const spin_guard guard(lock_);
    pending_ += count;
    if (pending_ < 0) detail::misuse("more is done than was added to a wait group");
    if (pending_ == 0) detail::claim_all(waiters_, woken);
  }
  woken.schedule();
}

bool wait_group::wait_until(deadline until) {
  spin_guard guard(lock_);
  if (pending_ == 0) return true;
  return detail::wait_in(waiters_, guard, detail::wait_kind::wait_group, this, until).or_throw();
}

std::ptrdiff_t wait_group::pending() const noexcept {
  const spin_guard guard(lock_);
  return pending_;
}

}  // namespace zsync
