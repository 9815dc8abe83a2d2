// Stacks for newborns, and whose home a stack is.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/scheduler.hpp>

namespace zsync::detail {

// False: there is none to be had, and the newborn has ended with that error.
bool worker::give_stack(fiber_control& f) noexcept {
  if (hot_stacks_ != 0 && f.stack_size == default_stack_size_) [[likely]] {
    f.memory = hot_[--hot_stacks_];
  } else if (!give_new_stack(f)) {
    return false;
  }
  prepare(f);
  checker::begin(f.checked, f.memory.bottom, f.memory.size());
  f.context = make_context(f.memory, &worker::enter_fiber);
  return true;
}

bool worker::give_new_stack(fiber_control& f) noexcept {
  f.memory = owner_.stacks().allocate(f.stack_size);
  if (f.memory) [[likely]]
    return true;
  f.abandon();
  f.release();
  return false;
}

// Cancelled here if the runtime is ending: the answer() of the worker that it left may find it gone, when
// ours is over already.
void worker::adopt(fiber_control& f) noexcept {
  f.home.store(this, std::memory_order_relaxed);
  f.memory.slot->home.store(this, std::memory_order_relaxed);
  f.memory.slot->owner.store(&f, std::memory_order_relaxed);
  if (owner_.stopping()) [[unlikely]]
    (void)f.request_cancel();
}

// Before a newborn begins on it, and never later: what it forgets is what the stack held.
void worker::prepare(fiber_control& f) noexcept {
  adopt(f);
  if (measures_) [[unlikely]]
    stack_meter::prepare(f.memory);
}

void worker::take_stack(fiber_control& f) noexcept {
  const stack memory = f.memory;
  f.memory = {};
  if (f.stealable || hot_stacks_ == hot_.size() || f.stack_size != default_stack_size_) [[unlikely]] {
    return owner_.stacks().release(memory);
  }
  memory.slot->home.store(nullptr, std::memory_order_relaxed);
  memory.slot->owner.store(nullptr, std::memory_order_relaxed);
  hot_[hot_stacks_++] = memory;
  owner_.stacks().note_kept();
}

}  // namespace zsync::detail
