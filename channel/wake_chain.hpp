// Waiters that were claimed under a lock, to be scheduled after it.
#pragma once

#include <zsync/sched/wait.hpp>

namespace zsync::detail {

// Links claimed waiters by their own `next`: they stay valid until scheduled. The lock that the claims were
// made under may be gone by the time of schedule(), as may everything but the waiters.
class wake_chain {
 public:
  void add(waiter& claimed) noexcept {
    claimed.next = nullptr;
    *(last_ != nullptr ? &last_->next : &first_) = &claimed;
    last_ = &claimed;
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  // In the order of the claims.
  void schedule() noexcept {
    for (waiter* w = first_; w != nullptr;) {
      waiter* const after = w->next;  // once scheduled, the waiter is its owner's again
      detail::schedule(*w->party);
      w = after;
    }
    first_ = last_ = nullptr;
  }

 private:
  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

}  // namespace zsync::detail
