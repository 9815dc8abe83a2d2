// What a worker tells of its fibers when it is asked. Not a public header.
//
//            ask()                  exchange, by the worker            done
//  nobody ---------> the question ----------------------------> being answered ---------> answered
//                         |
//                         '--- withdraw(), by the asker ---> nobody
//
// A worker answers in its scheduler, on its own thread, so that it needs no lock against itself and nobody
// pays anything while nobody asks. One that runs a fiber for long does not answer.
#pragma once

#include <zsync/fiber/control.hpp>
#include <zsync/sched/wait_details.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace zsync::detail {

enum class fiber_state : std::uint8_t { running, ready, waiting };

struct fiber_record {
  std::uint64_t id = 0;
  std::uintptr_t self = 0;  // as the holder of a lock is named; see channel/owner.hpp
  std::string name;
  fiber_state state = fiber_state::ready;
  bool cancelling = false;
  wait_kind why{};           // this and the next four: while waiting
  const void* on = nullptr;  // what is waited for
  clock::time_point since{};
  deadline until;
  std::unique_ptr<wait_details> details;  // nullptr: there are none
  const void* group = nullptr;            // the task group that it is a child of
  std::size_t stack_size = 0;
  const void* spawned_at = nullptr;
  std::size_t frames_begin = 0;  // in the listing's `frames`
  std::size_t frames_end = 0;
};

struct worker_listing {
  bool figures_only = false;  // asked: not of fibers one by one
  std::vector<fiber_record> fibers;
  std::vector<const void*> frames;  // of all fibers, one after the other
  clock::time_point taken{};        // no wait that began later is among these
  std::size_t ready = 0;            // how many stand in the queue of those to go on
  std::size_t newborns = 0;         // they have no stack, and nobody knows them one by one
  bool cut_short = false;           // there was no memory for more
  std::atomic<bool> done{false};    // the last thing that the worker touches
};

}  // namespace zsync::detail
