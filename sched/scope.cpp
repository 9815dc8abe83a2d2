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

cancellation_shield::cancellation_shield() noexcept {
  if (detail::fiber_control* const fiber = detail::current_fiber()) ++fiber->shields;
}

cancellation_shield::~cancellation_shield() {
  if (detail::fiber_control* const fiber = detail::current_fiber()) --fiber->shields;
}

}  // namespace zsync
