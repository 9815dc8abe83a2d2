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
#include <zsync/sched/wait.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zsync::detail {

enum class fiber_state : std::uint8_t { running, ready, waiting };

struct fiber_record {
  std::uint64_t id = 0;
  std::string name;
  fiber_state state = fiber_state::ready;
  bool cancelling = false;
  wait_kind why{};           // this and the next three: while waiting
  const void* on = nullptr;  // what is waited for
  clock::time_point since{};
  deadline until;
  std::size_t stack_size = 0;
  const void* spawned_at = nullptr;
  std::size_t frames_begin = 0;  // in the listing's `frames`
  std::size_t frames_end = 0;
};

struct worker_listing {
  std::vector<fiber_record> fibers;
  std::vector<const void*> frames;  // of all fibers, one after the other
  std::size_t newborns = 0;         // they have no stack, and nobody knows them one by one
  bool cut_short = false;           // there was no memory for more
  std::atomic<bool> done{false};    // the last thing that the worker touches
};

}  // namespace zsync::detail
