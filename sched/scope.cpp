#include <zsync/sched/scope.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>

namespace zsync {

deadline_scope::deadline_scope(deadline until) noexcept : own_(until) {
  detail::deadline_frame*& innermost = detail::innermost_deadline();
  frame_ = {innermost == nullptr ? until : tightest(until, innermost->until), innermost};
  innermost = &frame_;
}

deadline_scope::~deadline_scope() {
  detail::deadline_frame*& innermost = detail::innermost_deadline();
  if (innermost != &frame_)
    detail::misuse("a deadline_scope ends before one that began within it, or elsewhere");
  innermost = frame_.outer;
}

deadline_shield::deadline_shield() noexcept {
  detail::deadline_frame*& innermost = detail::innermost_deadline();
  frame_ = {deadline::never(), innermost};
  innermost = &frame_;
}

deadline_shield::~deadline_shield() {
  detail::deadline_frame*& innermost = detail::innermost_deadline();
  if (innermost != &frame_)
    detail::misuse("a deadline_shield ends before a scope that began within it, or elsewhere");
  innermost = frame_.outer;
}

cancellation_shield::cancellation_shield() noexcept : fiber_(detail::current_fiber()) {
  if (fiber_ != nullptr) ++fiber_->shields;
}

cancellation_shield::~cancellation_shield() {
  if (fiber_ != detail::current_fiber()) detail::misuse("a cancellation_shield ends elsewhere than it began");
  if (fiber_ != nullptr) --fiber_->shields;
}

}  // namespace zsync
