// The calls that wait for their time on one worker. Not a public header.
#pragma once

#include <zsync/sched/call_after.hpp>
#include <zsync/sched/spinlock.hpp>

namespace zsync::detail {

// Shared by the worker and its calls, because a handle may outlive the runtime. Other threads leave their
// requests in the mail, and the worker does what the state of each call then says.
class delayed_calls {
 public:
  explicit delayed_calls(worker& home) noexcept : home_(&home) {}

  // The worker's thread.
  void arm(delayed_call& call) noexcept;
  void disarm(delayed_call& call) noexcept;  // it has left `armed`; the worker has done with it
  void attend() noexcept;                    // to the mail, and to the end of the runtime
  void run(delayed_call& call) noexcept;     // the fiber that was made for it; it has left `armed`
  void close() noexcept;                     // the worker is gone

  // Any thread.
  void mail(delayed_call& call) noexcept;

 private:
  void unlist(delayed_call& call) noexcept;
  delayed_call* next_mail() noexcept;

  spinlock lock_;  // guards the next, and `home_` against close()
  delayed_call* mail_ = nullptr;
  worker* home_;
  delayed_call* list_ = nullptr;  // all that are armed; the worker's thread
};

}  // namespace zsync::detail
