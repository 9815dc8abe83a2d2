#include <zsync/channel/future_state.hpp>

namespace zsync::detail {

void future_state_base::publish(continuation_list& now) noexcept {
  wake_chain woken;
  {
    const spin_guard guard(lock_);
    ready_ = true;
    ready_hint_.store(true, std::memory_order_relaxed);
    claim_all(waiters_, woken);
    now.take_from(continuations_);
  }
  woken.schedule();
}

void future_state_base::break_promise() noexcept {
  if (!begin()) return;
  set_error(std::make_exception_ptr(std::future_error(std::future_errc::broken_promise)));
  publish();
}

bool future_state_base::wait(deadline until) const {
  spin_guard guard(lock_);
  if (ready_) return true;
  return wait_in(waiters_, guard, wait_kind::future, this, until).or_throw();
}

void future_state_base::wait_out() noexcept {
  spin_guard guard(lock_);
  if (ready_) return;
  // Nothing ends this wait but the result.
  (void)wait_in(waiters_, guard, wait_kind::future, this, deadline::never(),
                wait::uncancellable | wait::unscoped);
}

bool future_state_base::add(continuation& c) noexcept {
  const spin_guard guard(lock_);
  if (ready_) return false;
  continuations_.add(c);
  return true;
}

bool future_state_base::enlist(waiter& w) noexcept {
  const spin_guard guard(lock_);
  if (ready_) return false;
  waiters_.push_back(w);
  return true;
}

void future_state_base::withdraw(waiter& w) noexcept {
  const spin_guard guard(lock_);
  waiters_.remove(w);
}

void future_state_base::throw_error(std::future_errc why) { throw std::future_error(why); }

}  // namespace zsync::detail
