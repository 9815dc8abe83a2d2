// A part of a wait that has to come to its end: taking a lock back after a condition was waited for.
#pragma once

namespace zsync::detail {

struct deadline_frame;
class fiber_control;

// While it lives, no deadline scope and no cancellation ends a wait of the caller.
class undisturbed {
 public:
  undisturbed() noexcept;
  ~undisturbed();
  undisturbed(const undisturbed&) = delete;
  undisturbed& operator=(const undisturbed&) = delete;

 private:
  fiber_control* fiber_;
  deadline_frame* deadlines_;
};

}  // namespace zsync::detail
