// What happens when a fiber has used up its stack: a message that names the fiber, its stack's size, where it
// was spawned and who called whom; then what would have happened without this library.
//
// Below each stack lie 64 KiB that nobody may touch. Code that checks its large frames page by page
// (-fstack-clash-protection, with which this library is built) cannot miss them. A function compiled without
// it, whose frame is larger than that, may skip them and write to whatever lies below: nobody can see that.
#pragma once

#include <zsync/fiber/control.hpp>

#include <signal.h>

#include <cstddef>

namespace zsync::detail {

// The fiber that the calling thread runs, or nullptr. Called by a signal handler.
using running_fiber = fiber_control* (*)() noexcept;

// While one lives, SIGSEGV and SIGBUS are looked at first by this library. What is no overflow goes on to
// whoever handled them before, and so does an overflow once it is reported. Each runtime has one; the first
// installs the handler, the last takes it away, unless somebody has put another one on top of it.
class overflow_watch {
 public:
  explicit overflow_watch(running_fiber running) noexcept;
  ~overflow_watch();
  overflow_watch(const overflow_watch&) = delete;
  overflow_watch& operator=(const overflow_watch&) = delete;
};

// A handler needs a stack to stand on when there is none left. Belongs to a worker.
class alternate_stack {
 public:
  alternate_stack() = default;
  ~alternate_stack();
  alternate_stack(const alternate_stack&) = delete;
  alternate_stack& operator=(const alternate_stack&) = delete;

  // The calling thread's signal handlers may use it, until leave(). One that the thread has already is kept
  // if it is large enough. Without memory for it the report is lost, and nothing else.
  void enter() noexcept;
  void leave() noexcept;

 private:
  void* memory_ = nullptr;
  stack_t before_{};
  bool entered_ = false;
};

}  // namespace zsync::detail
