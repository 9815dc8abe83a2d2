// How fibers come to a worker: ready again, newborn, or from another thread.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/fork.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/wait.hpp>

#include <new>

namespace zsync::detail {

void worker::share(fiber_control& f) noexcept {
  if (f.waiting_in != nullptr) timers_.cancel(*f.waiting_in);  // while it is certain to stand in ours
  if (owner_.options().force_migration && owner_.size() > 1) [[unlikely]]
    return move_away(f);
  try {
    shared_.push(f);
  } catch (const std::bad_alloc&) {
    return ready_.push_back(f);
  }
  // A single one may be half of a pair that wake each other, which is slower on two workers: it waits for
  // who looks by itself, or for a tick. But not behind a third.
  if ((surplus() > 1 || !ready_.empty()) && owner_.idlers().any()) announce();
}

void worker::move_away(fiber_control& f) noexcept {
  worker& other = owner_.at((index_ + 1) % owner_.size());
  f.home.store(&other, std::memory_order_relaxed);
  f.memory.slot->home.store(&other, std::memory_order_relaxed);
  if (owner_.stopping()) (void)f.request_cancel();  // as in adopt()
  other.give(f);
}

void worker::push_newborn(fiber_control& f) noexcept {
  try {
    newborns_.push(f);
  } catch (const std::bad_alloc&) {
    ready_.push_back(f);  // as good, but for those who could have stolen it
  }
  if (owner_.idlers().any()) announce();
}

void worker::give(fiber_control& f) noexcept {
  check_not_forked();  // a helper's thread may have been the one that forked
  // The runtime cannot end before the fiber has, but the fiber may end as soon as it is pushed. Release: for
  // scheduler::close(), which waits until we are out and destroys the worker.
  visitors_.fetch_add(1, std::memory_order_relaxed);
  inbox_.push(f);
  wake_if_asleep();
  visitors_.fetch_sub(1, std::memory_order_release);
}

void worker::empty_inbox() noexcept {
  if (inbox_.empty()) return;
  for (fiber_control* f = inbox_.take_all(); f != nullptr;) {
    fiber_control* const next = f->next;
    sort_in(*f);
    f = next;
  }
}

void worker::sort_in(fiber_control& f) noexcept {
  if (!f.is_newborn()) {
    // As in adopt(): it may come from a worker that had not swept yet, to one that had.
    if (f.stealable && owner_.stopping()) (void)f.request_cancel();
    // Moved here on purpose, it must not be moved on at once.
    owner_.options().force_migration ? ready_.push_back(f) : make_ready(f);
  } else if (f.placed) {
    ready_.push_back(f);
  } else {
    push_newborn(f);
  }
}

bool worker::wake_if_asleep() noexcept {
  if (!sleep_.rouse()) return false;
  io_->wake();
  checker::release(&owner_);  // it closes what this used
  return true;
}

void worker::request_attention() noexcept {
  attention_.store(true, std::memory_order_seq_cst);
  wake_if_asleep();
}

void worker::cancel_all() noexcept {
  owner_.stacks().for_each_slot([this](stack_slot& slot) {
    if (slot.home.load(std::memory_order_relaxed) != this) return;
    fiber_control* const f = slot.owner.load(std::memory_order_relaxed);
    if (f == nullptr || !f->request_cancel()) return;
    f->cause = wake_cause::cancelled;
    schedule(*f);  // it may have been stolen, and begun to wait elsewhere, since we looked at its slot
  });
}

}  // namespace zsync::detail
