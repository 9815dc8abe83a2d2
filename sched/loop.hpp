// A runtime that the caller's own thread drives: for games, and within other event loops.
#pragma once

#include <zsync/sched/runtime.hpp>
#include <zsync/timer/clock.hpp>

#include <atomic>
#include <chrono>
#include <optional>

namespace zsync {

// Has one worker and no threads of its own. Driving it - poll(), run() and their like, shutdown(), and the
// destructor if fibers are left - belongs to one thread, the first that does, as do native_handle() and
// next_deadline(). stop() and what comes from executor (spawn(), post(), call_after(), stats(), dump() and so
// on) may be called from any.
//
// What fibers do happens while it is driven only: a join() by that thread, a task_group's wait(), or the
// destructor of a handle or a task_group, drives it until the fibers have ended or no time is left; a group's
// loops one after the other. Ask a handle's done() where nothing may run. Any other wait of that thread for
// what a fiber of its own loop does - a future's, a channel's - lasts for ever, and so does a join by a fiber
// that drives a loop itself, unless another fiber goes on driving. A join before anybody has driven the loop
// cannot know who will, and waits for that; the destructor of a handle is a join, so an exception between the
// first spawn and the first poll would hang. Declare handles before the loop, whose destructor then ends
// their fibers, or poll() it once as soon as it is made.
class loop : public detail::executor {
 public:
  // `workers` is taken as 1. Throws std::system_error as runtime does; so does whatever drives it first, if
  // the backend turns out not to work on that thread. A second thread that drives it, or a fiber of its own,
  // ends the process with a message.
  explicit loop(runtime_options options = {});
  // Cancels all fibers and runs until they have unwound; if some do not within the grace time, as ~runtime.
  // If none is left, by any thread.
  ~loop();

  // Runs each fiber that is ready now once. Never blocks. How many ran.
  std::size_t poll();

  // Runs fibers until nothing is ready, or a fiber's turn ends after `budget` has been spent. How many turns.
  // However small the budget: the kernel and the timers are looked at, and one that is ready has its turn.
  // With none at all, only the first.
  std::size_t run_for(std::chrono::nanoseconds budget);

  // Until nothing is ready; does not wait for I/O or timers. How many turns.
  std::size_t run_until_idle();

  // Runs and waits until stop() is called or no fiber is left.
  void run();

  // Cancels all fibers and runs them until they have ended. False: some remain after `grace`, and a dump is
  // written to stderr. Fibers spawned from now on begin cancelled. By the thread that drives the loop.
  bool shutdown(std::chrono::nanoseconds grace);

  // Ends run(), the one that runs or the next. From any thread, and from fibers.
  void stop() noexcept;

  // Readable when poll() has work, but for timers: see next_deadline(). Ask after each poll().
  [[nodiscard]] int native_handle() const noexcept;

  // When the earliest timer is due; empty without timers.
  [[nodiscard]] std::optional<clock::time_point> next_deadline() const noexcept;

 private:
  [[nodiscard]] detail::worker& worker_() const noexcept;

  std::atomic<bool> stop_{false};
};

}  // namespace zsync
