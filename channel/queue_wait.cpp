#include <zsync/channel/queue_wait.hpp>

namespace zsync::detail {

wait_end wait_in(wait_queue& queue, spin_guard& guard, wait_kind why, const void* on, deadline until,
                 std::uint32_t accepts, void* slot) {
  wait w(why, on, accepts);
  if (!w.open()) {
    guard.unlock();
    throw_cancelled();
  }
  waiter me(w, 0, slot);
  queue.push_back(me);
  guard.unlock();
  const wait_end end = w.suspend(until);
  if (!end.notified()) {
    guard.lock();
    queue.remove(me);
  }
  return end;
}

void claim_all(wait_queue& queue, wake_chain& woken) noexcept {
  while (waiter* const one = queue.claim_front()) woken.add(*one);
}

}  // namespace zsync::detail
