// What a dump shows: all workers of a runtime and their fibers, as they answered. Not a public header.
#pragma once

#include <zsync/sched/listing.hpp>
#include <zsync/sched/sample.hpp>
#include <zsync/sched/stats.hpp>
#include <zsync/sched/wait_cycles.hpp>

#include <list>
#include <string>
#include <utility>
#include <vector>

namespace zsync::detail {

class scheduler;

struct worker_view {
  worker_listing answer;
  clock::duration answered_after{};
  bool asked = false;
  bool answered = false;
  bool sampled = false;  // not answered, but told what it runs
  worker_sample sample;
};

enum class look : std::uint8_t { each_fiber, figures_only };

// Asks each worker, waits for the answers for at most 200 ms, and then interrupts those that did not answer,
// if they are to tell of fibers. From any thread, and from a fiber, whose worker does nothing else meanwhile.
class picture {
 public:
  explicit picture(scheduler& of, look how = look::each_fiber);

  std::string name;
  runtime_stats figures;
  std::size_t injected = 0;  // newborns that any worker may take
  clock::time_point taken{};
  std::vector<worker_view> workers;
  std::vector<wait_cycle> cycles;

  // The fiber with that identity, or at that address; nullptr if it is not listed here.
  [[nodiscard]] const fiber_record* by_id(std::uint64_t id) const noexcept;
  [[nodiscard]] const fiber_record* by_address(std::uintptr_t self) const noexcept;

 private:
  checker::unseen answers_;  // others write them; the end of each is told by its `done`
  std::vector<std::pair<std::uint64_t, const fiber_record*>> ids_;
  std::vector<std::pair<std::uintptr_t, const fiber_record*>> addresses_;
  std::vector<fiber_record> sampled_;  // of workers that did not answer
};

// One of each runtime of the process; they stay valid after the runtimes are gone. From plain threads.
std::list<picture> all_pictures(look how = look::each_fiber);

}  // namespace zsync::detail
