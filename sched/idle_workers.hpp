// Who of a runtime's workers will find what a busy one has to give away: newborns, started fibers that may
// move, and newborns from outside. Not a public header.
//
// Whoever has something to give pushes it, without a fence, and relies on others to find it:
//
//   - on one who searches: it was woken for this, and has neither found anything nor given up;
//   - for a single thing, on one who naps. It is what its giver runs next, usually, and waking a thread
//     costs more than that. So most of them are never announced.
//
// A worker that runs out of work naps before it sleeps: it waits in the kernel, as in its sleep, but only for
// a while, and looks again then. The last one to fall asleep does not, for nobody is left to give anything.
//
// Nothing is lost, for
//
//   - whoever ends a search or a nap looks afterwards at all that there is to take, with a fence between the
//     two; so has who relies on it, between the push and the look at it. One sees the other;
//   - a giver that finds nobody asleep pays no fence. Whoever was falling asleep just then naps, and looks
//     again at its end. A push is seen by then: any hardware sees to that, though the standard does not;
//   - who sleeps without a nap was counted after all others. Each of them counts itself as awake before it
//     goes on, and so sees that one asleep when it gives.
#pragma once

#include <zsync/fiber/atomic.hpp>

#include <atomic>
#include <cstdint>

namespace zsync::detail {

class idle_workers {
 public:
  // All sleep at first. A single one has nobody to rely on, and nothing is counted.
  explicit idle_workers(unsigned workers) noexcept : workers_(workers), asleep_(workers == 1 ? 0 : workers) {}

  // Roughly whether anybody sleeps: else nothing need be offered.
  [[nodiscard]] bool any() const noexcept { return asleep_.load(std::memory_order_relaxed) != 0; }

  // Any thread; it has pushed something, `single` if there is nothing beside it. `wake()` wakes one who
  // sleeps, or returns false if nobody does.
  template <class Wake>
  void offer(bool single, const Wake& wake) noexcept {
    if (!any() || !begin_search(single) || wake()) return;
    end_search();  // whoever falls asleep from now on looks first, also for those who relied on this search
  }

  // A worker has something to do, after it has slept or looked for it. What others relied on it to find is
  // for somebody else, if `sees()` that there is anything.
  template <class Sees, class Wake>
  void found(const Sees& sees, const Wake& wake) noexcept {
    if (workers_ == 1) return;
    end_search();
    if (sees()) offer(false, wake);
  }

  // A worker sleeps; it has said so (sleep_state.hpp). `sees()`: there is work for it. `nap()` waits for a
  // while, and returns true if something ended it; `wait(work)` waits for ever, or only polls. True: it has
  // waited.
  template <class Sees, class Nap, class Wait>
  bool sleep(const Sees& sees, const Nap& nap, const Wait& wait) noexcept {
    const bool last = fall_asleep();
    if (!last) napping_.fetch_add(1, std::memory_order_relaxed);
    if (workers_ != 1) end_search();
    bool work = sees();
    bool napped = false;
    if (!last) {
      napped = !work && nap();
      napping_.fetch_sub(1, std::memory_order_relaxed);
      full_fence();  // for those who relied on the nap: begin_search()
      work = work || sees();
    }
    if (!napped) wait(work);
    rise();
    return napped || !work;
  }

  // A worker that nobody drives counts as asleep. True: all do.
  bool fall_asleep() noexcept {
    return workers_ == 1 || asleep_.fetch_add(1, std::memory_order_relaxed) + 1 == workers_;
  }
  void rise() noexcept {
    if (workers_ != 1) asleep_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  bool begin_search(bool single) noexcept {
    full_fence();  // after the push
    if (single && napping_.load(std::memory_order_relaxed) != 0) return false;
    // Acquire: who ended the last search because it was to sleep is seen asleep by `wake()`.
    return searching_.load(std::memory_order_relaxed) == 0 &&
           searching_.exchange(1, std::memory_order_acquire) == 0;
  }
  // Anybody's.
  void end_search() noexcept {
    searching_.store(0, std::memory_order_release);
    full_fence();  // before the look
  }

  const std::uint32_t workers_;
  atomic<std::uint32_t> asleep_;
  atomic<std::uint32_t> napping_{0};
  atomic<std::uint32_t> searching_{0};  // 0 or 1
};

}  // namespace zsync::detail
