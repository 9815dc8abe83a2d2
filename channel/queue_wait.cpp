#include <zsync/channel/queue_wait.hpp>

#include <zsync/sched/error.hpp>

#include <system_error>

namespace zsync::detail {

// Without a turn for others, which throw_cancelled() gives: the caller has slept, or wait_in() has given it.
void wait_end::throw_it() const {
  if (cause_ == wake_cause::cancelled) throw cancelled{};
  throw std::system_error(error::deadline_expired);
}

wait_end wait_in(wait_queue& queue, spin_guard& guard, wait_kind why, const void* on, deadline until,
                 std::uint32_t accepts, void* slot) {
  wait w(why, on, accepts);
  if (!w.open()) {
    const wake_cause cause = w.cause();
    guard.unlock();
    if (cause == wake_cause::cancelled) give_way_to_others();
    guard.lock();
    return {cause, false};
  }
  waiter me(w, 0, slot);
  queue.push_back(me);
  guard.unlock();
  const wake_cause cause = w.suspend(until);
  if (cause != wake_cause::notified) {
    guard.lock();
    queue.remove(me);
  }
  return {cause, w.scope_expired()};
}

void claim_all(wait_queue& queue, wake_chain& woken) noexcept {
  while (waiter* const one = queue.claim_front()) woken.add(*one);
}

}  // namespace zsync::detail
