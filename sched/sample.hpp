// What a worker runs at this moment, although it does not answer: its thread is interrupted by a signal, and
// tells from within the handler. Not a public header.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace zsync::detail {

class worker;

// The signal's default is to be ignored, so one that comes late harms nobody. A call in which the worker's
// thread is blocked goes on afterwards, but those that never do after a signal (sleep, poll and the like)
// return early, with EINTR.
struct worker_sample {
  static constexpr std::size_t frames_max = 48;

  bool in_fiber = false;  // else it is in its scheduler, or in what drives it
  std::uint64_t id = 0;
  std::uintptr_t self = 0;  // as the holder of a lock is named
  char name[64] = {};       // cut short
  bool cancelling = false;
  const void* spawned_at = nullptr;
  std::size_t stack_size = 0;
  std::size_t frames_count = 0;
  const void* frames[frames_max] = {};
};

// False: the thread has not taken the signal within `patience`, or nobody drives that worker. One at a time
// in a process; the others wait.
bool take_sample(worker& of, worker_sample& into, std::chrono::milliseconds patience) noexcept;

}  // namespace zsync::detail
