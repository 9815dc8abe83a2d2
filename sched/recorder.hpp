// What one worker did lately, for traces: a ring of events, of which the oldest go first. Not a public
// header.
#pragma once

#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/timer/clock.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace zsync::detail {

class fiber_control;

// What a worker did from one event to the next follows from both: see trace.cpp.
struct trace_event {
  enum kind : std::uint8_t {
    waits,    // `fiber` stopped running, and waits
    yields,   // it stopped, and is ready
    ends,     // it stopped for good
    polls,    // the worker looked at the kernel, until `until`
    sleeps,   // likewise, and could block
    wakes,    // `by` made `fiber` ready
    spawns,   // `by` made `fiber`
    returns,  // the worker's own thread went on: a loop's, for instance
  };
  static constexpr std::uint64_t the_worker = 0;  // as `by`: timers and the kernel
  static constexpr std::uint64_t a_thread = ~std::uint64_t{0};

  clock::time_point at{};
  clock::time_point until{};
  std::uint64_t fiber = 0;
  std::uint64_t by = 0;
  const void* on = nullptr;
  wait_kind why{};
  kind what = waits;
};

struct traced_fiber {
  std::string name;
  const void* spawned_at = nullptr;
};

class recorder {
 public:
  explicit recorder(std::size_t events_max) : events_max_(events_max) {}

  // Any thread. Without memory the event is not recorded.
  void add(const trace_event& event) noexcept;
  // The worker, of who runs there.
  void know(const fiber_control& fiber) noexcept;

  // Copies what there is, the oldest first.
  void copy(std::vector<trace_event>& events, std::unordered_map<std::uint64_t, traced_fiber>& fibers);

  // The worker's thread.
  bool polling = false;  // what is woken now, timers or the kernel wake
  std::uint32_t stops = 0;

 private:
  const std::size_t events_max_;
  spinlock lock_;
  std::vector<trace_event> events_;                         // lock_; a ring once it is full
  std::size_t oldest_ = 0;                                  // lock_
  std::unordered_map<std::uint64_t, traced_fiber> fibers_;  // lock_; at most as many as events
};

}  // namespace zsync::detail
