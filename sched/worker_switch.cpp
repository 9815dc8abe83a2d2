// The hot path: what runs next, and the switch to it. It changes stacks, so here is written down what holds
// where.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/scheduler.hpp>

#include <utility>

#define ZSYNC_INLINE inline __attribute__((always_inline))

namespace zsync::detail {
ZSYNC_INLINE fiber_control& worker::pick() noexcept {
  if (--picks_left_ <= 0) [[unlikely]]
    tick();
  if (fiber_control* const f = ready_.pop_front()) [[likely]] {
    // The next one's control block came into the cache a switch ago: fetch its stack, and the block after it.
    if (const fiber_control* const next = ready_.front()) {
      __builtin_prefetch(next->context);
      __builtin_prefetch(next->next);
    }
    return *f;
  }
  return pick_slowly();
}

ZSYNC_INLINE fiber_control& worker::pick_prepared() noexcept {
  for (;;) {
    fiber_control& f = pick();
    if (!f.is_newborn()) [[likely]]
      return f;
    if (give_stack(f)) return f;
  }
}

// The first thing on the new side of a jump: the fiber that was left is whole only now.
ZSYNC_INLINE void worker::arrive(void* left) noexcept {
  checker::arrive(left_->checked, current_->checked);
  left_->context = left;
  if (afterwards_ != afterwards::nothing) [[unlikely]]
    after_switch();
}

ZSYNC_INLINE void worker::switch_to(fiber_control& next, afterwards then) noexcept {
  fiber_control& self = *current_;
  left_ = &self;
  afterwards_ = then;
  current_ = &next;
  count.switches.add();
  self.saved_errno = *errno_;
  self.exceptions = *exceptions_;
  checker::leave(self.checked, next.checked, then == afterwards::bury);
  *exceptions_ = next.exceptions;
  *errno_ = next.saved_errno;
  const transfer from = jump(next.context, this);
  // Here again, perhaps on another thread: what was loaded before the jump is the old worker's.
  static_cast<worker*>(from.data)->arrive(from.fctx);
}

// Its joiner, if it waits in place, takes over the reference of its run.
ZSYNC_INLINE void worker::release_run(fiber_control& ended) noexcept {
  if (!ended.joined_here) ended.release();
}

// The stack that the caller stands on belongs to a fiber that has ended. A newborn goes on with it. Inlined,
// because it may leave that stack for good: a call that never returns would have all returns of the fiber
// that goes on predicted wrongly.
ZSYNC_INLINE void worker::follow() noexcept {
  fiber_control& ended = *current_;
  checker::step_aside(nobody_);
  if (measures_) [[unlikely]]
    owner_.meter()->record(ended);
  ended.memory.slot->owner.store(nullptr,
                                 std::memory_order_relaxed);  // no fiber any more, for who lists them
  fiber_control* next = &pick();
  if (!checker::active && next->is_newborn() && next->stack_size == ended.stack_size && !ended.stealable) {
    next->memory = std::exchange(ended.memory, {});
    prepare(*next);
    next->context = next;  // anything: it has begun
    current_ = next;
    count.switches.add();
    *errno_ = 0;
    release_run(ended);
    return;
  }
  while (next->is_newborn() && !give_stack(*next)) next = &pick();
  switch_to(*next, afterwards::bury);
  __builtin_unreachable();
}

// The bottom of every fiber's stack. What run() lets escape finds no handler and ends the process at the
// throw.
[[gnu::flatten]] void worker::enter_fiber(transfer from) {
  auto* here = static_cast<worker*>(from.data);
  here->arrive(from.fctx);
  for (;;) {
    checker::step_back(here->current_->checked, here->nobody_);
    checker::acquire(here->current_);
    here->floats_.restore();
    here->current_->run();
    here = current_worker();  // the fiber may have moved
    here->follow();
  }
}

// After it the fiber may be on another worker; for `nobody_`, the old one's is as good.
[[gnu::flatten]] void worker::suspend() noexcept {
  fiber_control& self = *current_;
  checker::step_aside(nobody_);
  suspend_aside();
  checker::step_back(self.checked, nobody_);
}

[[gnu::flatten]] void worker::suspend_aside() noexcept {
  fiber_control& next = pick_prepared();
  if (&next != current_) switch_to(next, afterwards::nothing);
}

// False: not begun.
[[gnu::flatten]] bool worker::begin_in_place(fiber_control& f) noexcept {
  fiber_control& self = *current_;
  checker::step_aside(nobody_);
  const bool begun = begin_in_place_aside(self, f);
  checker::step_back(self.checked, nobody_);
  return begun;
}

ZSYNC_INLINE bool worker::begin_in_place_aside(fiber_control& self, fiber_control& f) noexcept {
  if (!ready_.empty() || !newborns_.youngest_is(f) || !inbox_.empty()) return false;
  // Neither may move, so that what they tell each other needs no atomics.
  if (self.stealable || f.stealable || &self == &root_) [[unlikely]]
    return false;
  if (--picks_left_ <= 0) [[unlikely]] {
    tick();
    if (!ready_.empty() || !newborns_.youngest_is(f)) return false;
  }
  if (newborns_.pop_youngest() == nullptr) return false;
  if (!give_stack(f)) return true;
  f.joined_here = true;
  ready_.push_back(self);
  switch_to(f, afterwards::nothing);
  return true;
}

[[gnu::flatten]] void worker::yield() noexcept {
  fiber_control& self = *current_;
  checker::step_aside(nobody_);
  yield_aside(self);
  checker::step_back(self.checked, nobody_);
}

ZSYNC_INLINE void worker::yield_aside(fiber_control& self) noexcept {
  if (!self.stealable) [[likely]] {
    // Behind the newborns too, which stay where others can steal them.
    (newborns_.empty() ? ready_ : yielded_).push_back(self);
    return suspend_aside();
  }
  if (fiber_control* const youngest = newborns_.pop_youngest()) ready_.push_front(*youngest);
  self.anchored = false;  // its last wait is over
  // Others may take it once it has left its stack, so until then it must stand nowhere, and the one that
  // runs next must come from the ready queue, for where nothing is ready the worker would sleep.
  for (;;) {
    if (--picks_left_ <= 0) tick();
    refill();
    fiber_control* const next = ready_.pop_front();
    if (next == nullptr) return;
    if (!next->is_newborn() || give_stack(*next)) return switch_to(*next, afterwards::share);
  }
}

[[gnu::flatten]] void worker::after_switch() noexcept {
  if (std::exchange(afterwards_, afterwards::nothing) == afterwards::share) {
    make_ready(*left_);
    return;
  }
  checker_state ended = left_->checked;
  take_stack(*left_);
  checker::step_back(ended, nobody_);  // whatever ends with it, a result that nobody took, ends as its own
  release_run(*left_);
  checker::step_aside(nobody_);
  checker::end(ended);
}

// A look that is too old to find the end begun is made up for: see scheduler::quiesce().
void worker::note_end() noexcept {
  checker::release(&owner_);
  count.finished.add();
  if (owner_.stopping()) [[unlikely]]
    owner_.note_end();
}

}  // namespace zsync::detail
