// Looks after workers that a fiber holds for too long, in a computation or a call that blocks the thread.
// Not a public header: runtime_options::blocked_worker_threshold is what users set.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace zsync::detail {

class scheduler;
class worker;

// A thread that compares, four times within the threshold, what the workers count anyway. Of one that is
// awake and has not moved since the threshold it reports on stderr, once, who holds it, how long and with
// which stack, and wakes one of the others to take its newborns. While all workers sleep it sleeps as well,
// until one wakes.
class sentinel {
 public:
  sentinel(scheduler& of, std::chrono::nanoseconds threshold);
  ~sentinel();
  sentinel(const sentinel&) = delete;
  sentinel& operator=(const sentinel&) = delete;

  // A worker that goes on after a sleep. Its store of `awake` comes before the look at `dozing_` here, and
  // the sentinel's store of that before its look at the workers: one of the two sees the other.
  void note_awake() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (dozing_.load(std::memory_order_relaxed)) rouse();
  }

 private:
  using steady = std::chrono::steady_clock;

  // What was last seen of a worker.
  struct sight {
    std::uint64_t beat = 0;
    steady::time_point since{};
    bool reported = false;
  };

  void watch() noexcept;
  void rouse() noexcept;
  [[nodiscard]] bool none_busy() const noexcept;
  void look(worker& w, sight& last) noexcept;
  void report(worker& w, std::uint64_t beat, steady::duration held) const noexcept;

  scheduler& of_;
  const std::chrono::nanoseconds threshold_;
  std::vector<sight> sights_;
  std::atomic<bool> dozing_{false};
  std::mutex mutex_;  // guards the next two
  bool ending_ = false;
  std::condition_variable something_;
  std::thread thread_;
};

}  // namespace zsync::detail
