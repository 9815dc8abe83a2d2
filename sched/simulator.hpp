// What a simulation (io/sim) replaces beneath the runtimes of its thread: the poller, the helper threads, and
// the clock, which is timer's. It also drives the workers, by worker::offer() and worker::carry_out(). Not a
// public header.
#pragma once

#include <zsync/sched/poller.hpp>
#include <zsync/timer/clock.hpp>

#include <memory>

namespace zsync::detail {

class helper_job;

class simulator : public time_source {
 public:
  // The one that runs on the calling thread; nullptr: time and the kernel are real.
  static simulator* of_thread() noexcept;

  virtual std::unique_ptr<poller> make_poller(io_backend backend) = 0;
  virtual void run_blocking(helper_job& job) = 0;  // by a fiber

  void let_go() noexcept;  // of the thread, which it otherwise keeps until it ends

  simulator(const simulator&) = delete;
  simulator& operator=(const simulator&) = delete;

 protected:
  simulator() noexcept;  // begins to run on the calling thread, which has none
  ~simulator() { let_go(); }
};

}  // namespace zsync::detail
