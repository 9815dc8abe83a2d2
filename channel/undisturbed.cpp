#include <zsync/channel/undisturbed.hpp>

#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <utility>

namespace zsync::detail {

undisturbed::undisturbed() noexcept
    : fiber_(current_fiber()), deadlines_(std::exchange(innermost_deadline(), nullptr)) {
  if (fiber_ != nullptr) ++fiber_->shields;
}

undisturbed::~undisturbed() {
  if (fiber_ != nullptr) --fiber_->shields;
  innermost_deadline() = deadlines_;
}

}  // namespace zsync::detail
