// Threads for calls that would block a worker.
#pragma once

#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace zsync::detail {

// A call that runs on a helper. Lives on the waiting fiber's stack, which it does not leave before the end.
class helper_job {
 public:
  // A helper's thread: calls, then wakes whoever waits. Nothing of the job is touched after its lock is free.
  void run() noexcept;

  // Waits for the end. `accepts` as for a wait; what ended it other than the call's end is the result.
  wake_cause wait_done(std::uint32_t accepts);

  helper_job* next = nullptr;  // the pool's

  // The call may last until another one has been made. Set before it is submitted.
  bool unbounded = false;

 protected:
  helper_job() = default;
  ~helper_job() = default;

 private:
  virtual void call() noexcept = 0;

  spinlock lock_;  // guards the rest
  bool done_ = false;
  wait_queue waiting_;
};

// At most `threads_max` threads for calls that take their time and end, and one more for each that may last
// until another call has been made: of these no number may keep the others from running. Threads are started
// when needed, and gone after a while of idleness. Thread-safe.
class helper_pool {
 public:
  static constexpr std::size_t unbounded_max = 4096;

  helper_pool(std::string name, std::size_t threads_max)
      : name_(std::move(name)), threads_max_(threads_max) {}
  ~helper_pool();  // waits for the calls that run

  void submit(helper_job& job);              // throws std::system_error if no thread can be had for it
  bool take_back(helper_job& job) noexcept;  // true: it was still queued, and will not run

 private:
  void help();

  const std::string name_;
  const std::size_t threads_max_;
  std::mutex mutex_;  // guards all below
  std::condition_variable work_;
  std::condition_variable gone_;
  helper_job* head_ = nullptr;
  helper_job* tail_ = nullptr;
  std::size_t threads_ = 0;
  std::size_t idle_ = 0;
  std::size_t queued_ = 0;
  std::size_t unbounded_ = 0;  // of those that are queued or run
  bool closing_ = false;
};

}  // namespace zsync::detail
