// Fibers that wait for each other's locks or ends in a circle. Not a public header.
//
// Only what is certain: a circle counts if all of it was true at one moment. Workers answer one after the
// other, so of several workers three listings are compared. A fiber that is in the same wait in the first and
// the third slept through all of the second, and what sleeps releases no lock, and is handed none but the one
// it waits for, which ends its wait; so the circle that the second shows was there. One worker answers for a
// single moment, as does a simulation: only plain threads go on meanwhile, which may hand a fiber the lock
// that it is listed as waiting for. So nobody waits for a lock of his own, in a circle; for his own end he
// may.
#pragma once

#include <zsync/sched/listing.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace zsync::detail {

struct wait_step {
  std::uint64_t id = 0;
  std::string name;
  wait_kind why{};
  const void* on = nullptr;
  unsigned worker = 0;
  clock::time_point since{};

  friend bool operator==(const wait_step&, const wait_step&) = default;
};

// Each waits for the next, and the last for the first.
using wait_cycle = std::vector<wait_step>;

// In one listing of all workers; nullptr for one that did not answer.
std::vector<wait_cycle> find_cycles(std::span<const worker_listing* const> workers);

// Those of the first that are in the others too, and whose waits had begun before the first was taken.
std::vector<wait_cycle> lasting_cycles(std::vector<wait_cycle> first,
                                       std::span<const worker_listing* const> workers,
                                       const std::vector<wait_cycle>& second,
                                       const std::vector<wait_cycle>& third);

}  // namespace zsync::detail
