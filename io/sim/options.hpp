// How a simulation runs.
#pragma once

#include <zsync/sched/options.hpp>

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <vector>

namespace zsync::sim {

// How it is chosen who goes on, of all who could.
// random: each as likely as any other.
// priorities: always who has the highest; they are drawn, and change at `depth - 1` drawn moments. Finds what
// takes few but long delays (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of
// finding bugs", ASPLOS 2010).
// either: the seed says which.
enum class strategy { either, random, priorities };

// Whose manner the simulated kernel has: epoll's, which tells what is ready, or io_uring's, which completes.
enum class kernel_manner { either, readiness, completion };

struct options {
  std::uint64_t seed = 1;  // of all that is drawn
  strategy choose = strategy::either;
  unsigned depth = 3;                // priorities: how many moments have to come in order for a bug to show
  std::uint64_t expected_steps = 0;  // priorities: within which these moments lie; 0: 64 to 8192, drawn
  kernel_manner kernel = kernel_manner::either;
  unsigned workers = 2;       // of each host, all on the calling thread
  runtime_options runtime{};  // of each host; workers, backend and what needs threads are disregarded

  std::vector<std::uint32_t> schedule{};  // report::schedule of another run, to be repeated as far as it goes

  // Where to write what happens, a line each: which fiber goes on and where, what the network does. Null:
  // nowhere, unless ZSYNC_SIM_TRACE=1 is in the environment: then stderr.
  std::ostream* trace = nullptr;

  // Beyond these a run has failed: it does not end.
  std::uint64_t steps_max = 1'000'000;
  std::chrono::nanoseconds time_max = std::chrono::hours{24 * 365};  // simulated
};

// What a run was.
struct report {
  std::uint64_t seed = 0;
  std::uint64_t steps = 0;              // slices of fibers, looks at the kernel, arrivals
  std::chrono::nanoseconds time{0};     // simulated
  std::uint64_t fingerprint = 0;        // of all that happened: equal if and only if the runs were, nearly
  std::vector<std::uint32_t> schedule;  // what was chosen at each step with a choice
};

}  // namespace zsync::sim
