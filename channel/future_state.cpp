#include <zsync/channel/future_state.hpp>

#include <new>

namespace zsync::detail {
namespace {

// Destructors of promises ask for it, so it comes even if there is no memory for the error's text.
std::exception_ptr broken_promise() noexcept try {
  return std::make_exception_ptr(std::future_error(std::future_errc::broken_promise));
} catch (const std::bad_alloc&) {
  return std::current_exception();
}

}  // namespace

void continuation_list::insert(continuation_link& first, continuation_link& last) noexcept {
  first.previous = ends_.previous;
  last.next = &ends_;
  ends_.previous->next = &first;
  ends_.previous = &last;
}

void continuation_list::take_from(continuation_list& other) noexcept {
  if (other.empty()) return;
  continuation_link& first = *other.ends_.next;
  continuation_link& last = *other.ends_.previous;
  other.ends_.next = other.ends_.previous = &other.ends_;
  insert(first, last);
}

void continuation_list::run_all() noexcept {
  while (!empty()) {
    auto& c = static_cast<continuation&>(*ends_.next);
    c.unlink();
    c.run(*this);
  }
}

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
  set_error(broken_promise());
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

void future_state_base::withdraw(continuation& c) noexcept {
  const spin_guard guard(lock_);
  c.unlink();
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
