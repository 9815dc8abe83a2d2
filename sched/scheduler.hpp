// The workers of one runtime and what they share. Not a public header.
#pragma once

#include <zsync/fiber/overflow.hpp>
#include <zsync/fiber/stack.hpp>
#include <zsync/sched/fork.hpp>
#include <zsync/sched/idle_workers.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/sentinel.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/stack_meter.hpp>
#include <zsync/sched/stack_tidying.hpp>
#include <zsync/sched/stats.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace zsync::detail {

class helper_pool;
struct start_line;

// Throws std::system_error(invalid_argument) if that is more than any stack has.
void check_stack_size(std::size_t size);

// The first of `threads_from` workers are driven by the caller's thread, the rest get threads of their own.
class scheduler {
 public:
  scheduler(runtime_options options, unsigned threads_from);
  ~scheduler();  // all fibers must have ended
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;

  // Queues a newborn: on the calling worker if it is one of ours, else for whichever of them is free first.
  // Takes over the run's reference. Throws std::system_error (not_enough_memory) if there are no stacks to be
  // had.
  void admit(fiber_control& newborn, int placed_on);

  // From now on whatever fiber there is, or comes to be, is cancelled.
  void stop() noexcept;

  // The same, and waits until they have ended, or `until`. From a root or a plain thread.
  bool quiesce(deadline until) noexcept;

  // The same for good: if some have not ended within the grace time, lists them and ends the process.
  void end() noexcept;

  [[nodiscard]] bool stopping() const noexcept { return stopping_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t alive() const noexcept;
  void note_end() noexcept;  // while stopping: a fiber of ours has ended, or may have without being noted

  // Newborns from other threads wait here for whichever worker is free first. The count is a moment's truth;
  // it is stored before sleepers are looked for, as they look at it after they said that they sleep.
  [[nodiscard]] std::size_t injected() const noexcept {
    return injected_count_.load(std::memory_order_seq_cst);
  }
  [[nodiscard]] bool has_injected() const noexcept { return injected() != 0; }
  fiber_control* take_injected() noexcept;

  // The first of `n` identities for fibers, none of them ever given before.
  std::uint64_t take_ids(std::uint64_t n) noexcept {
    check_not_forked();
    return ids_.fetch_add(n, std::memory_order_relaxed);
  }

  // A call_after() counts as alive until its fiber does, or it is cancelled.
  void note_delayed() noexcept { delayed_.fetch_add(1, std::memory_order_relaxed); }
  void note_delayed_done() noexcept {  // by a worker of ours
    delayed_.fetch_sub(1, std::memory_order_acq_rel);
    if (stopping()) note_end();
  }

  [[nodiscard]] idle_workers& idlers() noexcept { return idlers_; }
  // There is something that any worker may take, `single` if there is nothing beside it where it is.
  void announce(bool single, const worker* by) noexcept {
    idlers_.offer(single, [this, by] { return wake_one(by); });
  }
  bool wake_one(const worker* but) noexcept;                // false: nobody else sleeps
  [[nodiscard]] bool has_work_for_others() const noexcept;  // a moment's truth

  // A worker goes on after a sleep, or is driven from now on.
  void note_awake() noexcept {
    if (sentinel* const looks = sentinel_.load(std::memory_order_acquire)) looks->note_awake();
  }

  [[nodiscard]] worker& at(unsigned index) noexcept { return *workers_[index]; }
  [[nodiscard]] unsigned size() const noexcept { return options_.workers; }
  [[nodiscard]] const runtime_options& options() const noexcept { return options_; }
  // For a call_after() from another thread, and for a fiber that is spawned in turn: each has its own order.
  [[nodiscard]] worker& next_for_call() noexcept { return next_of(calls_placed_); }
  [[nodiscard]] worker& next_in_turn() noexcept { return next_of(fibers_placed_); }
  [[nodiscard]] stack_meter* meter() noexcept { return meter_.get(); }  // nullptr: nobody asked for it
  [[nodiscard]] stack_pool& stacks() noexcept { return stacks_; }
  [[nodiscard]] stack_tidying& tidying() noexcept { return tidying_; }
  [[nodiscard]] helper_pool& helpers() noexcept { return *helpers_; }
  [[nodiscard]] runtime_stats stats() const;

 private:
  worker& next_of(std::atomic<std::uint32_t>& placed) noexcept {
    return at(placed.fetch_add(1, std::memory_order_relaxed) % size());
  }
  void start(unsigned threads_from);  // and waits until each thread drives its worker
  void work(worker& w, start_line& line) noexcept;
  void inject(fiber_control& newborn) noexcept;
  void close() noexcept;  // sends the threads home; all fibers have ended

  const runtime_options options_;
  const std::shared_ptr<const void> inspection_;  // from outside, if somebody asked for it
  fork_watch forks_;
  overflow_watch overflows_{&current_fiber};
  std::unique_ptr<stack_meter> meter_;
  stack_pool stacks_;
  stack_tidying tidying_{stacks_};
  std::unique_ptr<helper_pool> helpers_;
  std::vector<std::unique_ptr<worker>> workers_;
  std::atomic<std::uint64_t> admitted_{0};  // from other threads
  std::atomic<std::uint32_t> calls_placed_{0};
  std::atomic<std::uint32_t> fibers_placed_{0};
  std::atomic<std::uint64_t> delayed_{0};  // calls that wait for their time
  std::atomic<std::uint64_t> ids_{1};
  spinlock injection_lock_;
  ready_queue injected_;                        // injection_lock_
  std::atomic<std::size_t> injected_count_{0};  // changed under the lock
  std::atomic<std::uint32_t> injecting_{0};     // threads within inject()
  idle_workers idlers_{options_.workers};
  std::atomic<bool> stopping_{false};
  spinlock quiet_lock_;
  bool closing_ = false;  // quiet_lock_
  wait_queue quiet_;      // who waits for the last fiber; quiet_lock_
  wait_queue resting_;    // the roots of our threads, until the end; quiet_lock_
  std::vector<std::thread> threads_;
  std::unique_ptr<sentinel> own_sentinel_;
  std::atomic<sentinel*> sentinel_{nullptr};  // the same, for the workers
};

}  // namespace zsync::detail
