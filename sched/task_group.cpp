#include <zsync/sched/task_group.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/run_queue.hpp>
#include <zsync/sched/worker.hpp>

#include <mutex>
#include <utility>

namespace zsync {

void detail::group_task::on_finish() noexcept { group_.leave(*this); }

void detail::group_task::on_abandon(const std::exception_ptr& failure) noexcept { group_.fail(failure); }

void detail::group_task::note_failure() noexcept {
  try {
    throw;
  } catch (const cancelled&) {
  } catch (...) {
    group_.fail(std::current_exception());
  }
}

task_group::~task_group() {
  cancel();
  wait_empty_for_certain();
}

void task_group::admit(detail::group_task& child, const spawn_options& options, detail::spawn_site site) {
  bool begins_cancelled = false;
  {
    const std::lock_guard hold(lock_);
    child.following = children_;
    if (children_ != nullptr) children_->previous = &child;
    children_ = &child;
    ++size_;
    begins_cancelled = cancelled_;
  }
  if (begins_cancelled) child.cancel();
  child.retain();  // a launch that fails drops the run's and the list's
  try {
    detail::launch(child, options, site);
  } catch (...) {
    leave(child);
    throw;
  }
  child.release();
}

void task_group::unlink(detail::group_task& child) noexcept {
  (child.previous == nullptr ? children_ : child.previous->following) = child.following;
  if (child.following != nullptr) child.following->previous = child.previous;
  --size_;
}

// The group may be gone as soon as its lock is free: whoever waits goes on then.
void task_group::leave(detail::group_task& child) noexcept {
  std::unique_lock hold(lock_);
  detail::checker::release(&size_);
  unlink(child);
  detail::waiter* const waiting = size_ == 0 ? waiters_.claim_front() : nullptr;
  detail::parker* const woken = waiting == nullptr ? nullptr : waiting->party;
  hold.unlock();
  if (woken != nullptr) detail::schedule(*woken);
  child.release();
}

void task_group::fail(std::exception_ptr failure) noexcept {
  {
    const std::lock_guard hold(lock_);
    if (failure_ == nullptr) failure_ = std::move(failure);
  }
  cancel();
}

// Under the lock no more than the requests: a child's end takes it, and so cannot overtake us. Who waits, and
// wakes by it, stays until it is scheduled, and stands in no other queue.
void task_group::cancel() noexcept {
  detail::ready_queue woken;
  {
    const std::lock_guard hold(lock_);
    cancelled_ = true;
    for (detail::group_task* child = children_; child != nullptr; child = child->following) {
      if (child->end_wait_by_cancelling()) woken.push_back(*child);
    }
  }
  while (detail::fiber_control* const child = woken.pop_front()) detail::schedule(*child);
}

std::size_t task_group::size() const noexcept {
  const std::lock_guard hold(lock_);
  return size_;
}

// A child that has not ended has its worker.
template <class Predicate>
detail::group_task* task_group::child_at(Predicate fits) const noexcept {
  detail::group_task* child = children_;
  while (child != nullptr) {
    detail::worker* const home = child->home.load(std::memory_order_relaxed);
    if (home != nullptr && fits(*home)) break;
    child = child->following;
  }
  return child;
}

// Until no child of that loop is left. Anything but notified ended it.
detail::wake_cause task_group::drive(detail::worker& loop, std::uint32_t accepts, deadline until,
                                     bool& scope_expired) {
  const detail::driving_to_wait meanwhile(loop);
  for (;;) {
    std::unique_lock hold(lock_);
    detail::group_task* const child = child_at([&](const detail::worker& home) { return &home == &loop; });
    if (child == nullptr) return detail::wake_cause::notified;
    child->retain();
    hold.unlock();
    const detail::wake_cause why = child->wait_done(accepts, until, scope_expired);
    child->release();
    if (why != detail::wake_cause::notified) return why;
  }
}

// The loops that the calling thread drives, and does not drive now: it would wait for itself. One after the
// other, until no child is left at any.
detail::wake_cause task_group::drive_loops(std::uint32_t accepts, deadline until, bool& scope_expired) {
  for (;;) {
    std::unique_lock hold(lock_);
    const detail::group_task* const child =
        child_at([](const detail::worker& home) { return home.rests_with_this_thread(); });
    if (child == nullptr) return detail::wake_cause::notified;
    detail::worker& loop = *child->home.load(std::memory_order_relaxed);  // there while the child is
    hold.unlock();
    const detail::wake_cause why = drive(loop, accepts, until, scope_expired);
    if (why != detail::wake_cause::notified) return why;
  }
}

detail::wake_cause task_group::wait_empty(std::uint32_t accepts, deadline until, bool& scope_expired) {
  if (detail::current_worker() == nullptr && !detail::has_no_time(accepts, until)) {
    const detail::wake_cause why = drive_loops(accepts, until, scope_expired);
    if (why != detail::wake_cause::notified) return why;
  }
  std::unique_lock hold(lock_);
  if (size_ == 0) {
    detail::checker::acquire(&size_);
    return detail::wake_cause::notified;
  }
  if (const detail::fiber_control* const me = detail::current_fiber(); me != nullptr && me->group() == this) {
    detail::misuse("a task group is waited for by one of its children");
  }
  detail::wait end(detail::wait_kind::group, this, accepts);
  if (!end.open()) return end.cause();
  detail::waiter me(end);
  waiters_.push_back(me);
  hold.unlock();
  const detail::wake_cause why = end.suspend(until);
  if (why == detail::wake_cause::notified) {
    detail::checker::acquire(&size_);
  } else {
    hold.lock();
    waiters_.remove(me);
    scope_expired = end.scope_expired();
  }
  return why;
}

void task_group::wait_empty_for_certain() noexcept {
  bool ignored = false;
  wait_empty(detail::wait::uncancellable | detail::wait::unscoped, deadline::never(), ignored);
}

bool task_group::wait_until(deadline until) {
  bool scope_expired = false;
  const detail::wake_cause why = wait_empty(detail::wait::cancellable, until, scope_expired);
  if (why == detail::wake_cause::timed_out && !scope_expired) return false;
  if (why != detail::wake_cause::notified) {
    cancel();
    wait_empty_for_certain();
    if (why == detail::wake_cause::cancelled) detail::throw_cancelled();
    throw std::system_error(error::deadline_expired);
  }
  std::exception_ptr failure;
  {
    const std::lock_guard hold(lock_);
    failure = std::exchange(failure_, nullptr);
  }
  if (failure != nullptr) std::rethrow_exception(std::move(failure));
  return true;
}

}  // namespace zsync
