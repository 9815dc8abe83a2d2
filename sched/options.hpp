// How a runtime is set up.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace zsync {

enum class io_backend { automatic, io_uring, epoll, kqueue };

// pinned: a fiber that has started stays on its worker, so that thread-locals behave as in a thread.
// work_stealing: idle workers take started fibers as well; for code that holds no thread-local across a wait.
// Unstarted fibers are taken by whichever worker is free first under both. Those that one fiber spawns and
// then waits usually all begin on its own worker, and with `pinned` stay there: where they are to share
// several processors, use work_stealing, or spawn_options::in_turn. A fiber that is woken by one on the same
// worker, and alone with it, is offered to others only when its waker next waits or yields, for usually the
// two wake each other in turn: where a fiber goes on to compute after a wake, it should yield() first.
enum class scheduling { pinned, work_stealing };

struct runtime_options {
  unsigned workers = 0;  // 0: the CPUs that this process may use (affinity and cgroup quota)
  io_backend backend = io_backend::automatic;
  scheduling policy = scheduling::pinned;
  std::size_t stack_size = 256 * 1024;  // bytes of address space a fiber, at most 1 GiB; untouched it is free
  std::string name = "zsync";           // of the threads, in dumps and traces

  // How long an idle worker may look for work before it sleeps in the kernel. Waking a sleeping thread takes
  // some 40 microseconds, a spinning one less than one. It spins only while wakes from other threads have
  // lately come within that time, so an idle runtime sleeps, and after spinning in vain ever more rarely.
  // Meanwhile the worker looks neither at the kernel nor at its timers that are due later than that. Zero
  // where CPU time matters more.
  std::chrono::nanoseconds spin_max = std::chrono::microseconds{50};

  // How long the destructor waits for fibers that do not end although they are cancelled. Then it writes a
  // list of them to stderr and ends the process.
  std::chrono::nanoseconds shutdown_grace = std::chrono::seconds{30};

  // A fiber that holds its worker for longer than this is reported on stderr, with its stack, and newborns on
  // that worker move to others. Zero: nobody looks. Costs a thread, which wakes four times within that time
  // while any worker is awake. The report interrupts the worker's thread by a signal (SIGURG): blocking calls
  // go on after it, but those that never do, like sleep() and poll(), return early.
  std::chrono::nanoseconds blocked_worker_threshold{0};

  // Measures how much of its stack each fiber touched, for stack_report(): some microseconds a fiber, since
  // each begins on fresh memory.
  bool measure_stacks = false;

  // Not zero: measures, and reports on stderr, once for each place that spawns them, fibers that have touched
  // at least so many percent of their stack.
  unsigned stack_warning_percent = 0;

  // Not zero: each worker keeps so many events of the most recent past for write_trace(), some 60 bytes each.
  // A switch then takes some hundred nanoseconds more.
  std::size_t trace_events = 0;

  // How many threads blocking() and what is made of it (files, name resolution) have at most; at least 1.
  // They are started when needed and gone after some seconds of idleness. If all of them are in calls that
  // wait for something which itself needs one, none of these calls ever ends. Calls that libc makes wait for
  // another call (locks of files, children), as io/interpose has them, get up to 4,096 threads besides.
  unsigned helpers_max = 64;

  // For tests of code that is to run under work_stealing: every wake by its own worker moves such a fiber to
  // another one. (Those from elsewhere move nothing: many of them are the second half of such a move.)
  bool force_migration = false;
};

std::string_view to_string(io_backend backend) noexcept;
std::string_view to_string(scheduling policy) noexcept;

}  // namespace zsync
