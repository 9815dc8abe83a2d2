// Who of a runtime's workers will find what a busy one has to give away: newborns, and started fibers that
// may move. Not a public header.
//
// Whoever has something to give pushes it, without a fence, and relies on others to find it:
//
//   - on one who searches: it was woken for this, and has neither found anything nor given up;
//   - for a single thing, on one who naps. It is what its giver runs next, usually, and waking a thread
//     costs more than that. So most of them are never announced.
//
// A worker that runs out of work naps for a while before it sleeps, unless all others sleep:
//
//   busy --fall_asleep()--> idle --begin_nap()--> napping --end_nap()--> idle --rise()--> busy
//
// Nothing is lost, for
//
//   - whoever ends a search or a nap looks afterwards at all that there is to take, and has a fence between
//     the two; so has who relies on it, between the push and the look at it;
//   - a giver that finds nobody idle pays no fence. What it has pushed by then is to be seen by everybody
//     when the nap of one who was falling asleep is over, and who naps looks once more;
//   - who sleeps without a nap saw all others asleep, and each of them has a fence between its rise and
//     what it runs: it ends a search.
#pragma once

#include <zsync/fiber/atomic.hpp>

#include <atomic>
#include <cstdint>

namespace zsync::detail {

class idle_workers {
 public:
  // ---- a worker, about itself ----

  void fall_asleep() noexcept {
    asleep_.fetch_add(1, std::memory_order_relaxed);
    full_fence();  // before it looks whether all others sleep
  }
  void begin_nap() noexcept { napping_.fetch_add(1, std::memory_order_relaxed); }
  void end_nap() noexcept {
    napping_.fetch_sub(1, std::memory_order_relaxed);
    full_fence();
  }
  void rise() noexcept { asleep_.fetch_sub(1, std::memory_order_relaxed); }

  // ---- any thread ----

  // Roughly whether anybody is idle.
  [[nodiscard]] bool any() const noexcept { return asleep_.load(std::memory_order_relaxed) != 0; }

  // The caller has pushed something, a `single` thing if there is no other beside it. True: the caller wakes
  // one to search for it, or ends the search if none sleeps.
  [[nodiscard]] bool begin_search(bool single) noexcept {
    full_fence();
    if (single && napping_.load(std::memory_order_relaxed) != 0) return false;
    return searching_.load(std::memory_order_relaxed) == 0 &&
           searching_.exchange(1, std::memory_order_relaxed) == 0;
  }
  // Anybody's search. The caller looks after it, unless it has found nobody asleep: then whoever falls asleep
  // does.
  void end_search() noexcept {
    searching_.store(0, std::memory_order_relaxed);
    full_fence();
  }

 private:
  atomic<std::uint32_t> asleep_{0};
  atomic<std::uint32_t> napping_{0};
  atomic<std::uint32_t> searching_{0};  // 0 or 1
};

}  // namespace zsync::detail
