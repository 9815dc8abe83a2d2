#include <zsync/channel/condition_variable.hpp>

#include <zsync/channel/wake_chain.hpp>

namespace zsync {

namespace detail {

condition_queue::~condition_queue() {
  if (!waiters_.empty()) misuse("a condition variable is destroyed while somebody waits for it");
}

void condition_queue::notify_one() noexcept {
  lock_.lock();
  waiter* const woken = waiters_.claim_front();
  lock_.unlock();
  if (woken != nullptr) schedule(*woken->party);
}

void condition_queue::notify_all() noexcept {
  wake_chain woken;
  lock_.lock();
  while (waiter* const one = waiters_.claim_front()) woken.add(*one);
  lock_.unlock();
  woken.schedule();
}

bool condition_queue::enqueue(wait& w, waiter& me) noexcept {
  std::lock_guard guard(lock_);
  if (!w.open()) return false;
  waiters_.push_back(me);
  return true;
}

void condition_queue::withdraw(waiter& me) noexcept {
  std::lock_guard guard(lock_);
  waiters_.remove(me);
}

// Abandons a wait that is open already. A notification that came meanwhile is passed on to another waiter.
void condition_queue::give_up(wait& w, waiter& me) noexcept {
  const bool notified = !w.party().claim() && w.suspend() == wake_cause::notified;
  withdraw(me);
  if (notified) notify_one();
}

}  // namespace detail

cv_status condition_variable::wait_until(std::unique_lock<mutex>& lock, deadline until) {
  const auto me = detail::current_owner();
  if (!lock.owns_lock() || !lock.mutex()->word_.is_held_by(me)) {
    detail::misuse("a condition variable is waited for without holding the lock");
  }
  detail::lock_word& word = lock.mutex()->word_;
  return queue_.wait_until(
      until, [&] { word.unlock(me); }, [&] { word.lock(me, deadline::never(), detail::wait::unscoped); });
}

}  // namespace zsync
