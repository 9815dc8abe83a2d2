// Figures of a runtime.
#pragma once

#include <zsync/sched/options.hpp>

#include <cstddef>
#include <cstdint>

namespace zsync {

// Taken while the workers run on, so the figures belong to about the same moment.
struct runtime_stats {
  unsigned workers = 0;
  io_backend backend = io_backend::automatic;
  scheduling policy = scheduling::pinned;
  std::uint64_t fibers_alive = 0;  // newborns included
  std::uint64_t fibers_spawned = 0;
  std::uint64_t fibers_finished = 0;
  std::uint64_t switches = 0;
  std::uint64_t newborns_stolen = 0;  // unstarted fibers that another worker took
  std::uint64_t fibers_stolen = 0;    // started ones
  std::uint64_t polls = 0;            // looks at the kernel, blocking or not
  std::uint64_t sleeps = 0;           // of them, those that could block
  std::size_t stacks = 0;             // ever carved; they are reused
};

}  // namespace zsync
