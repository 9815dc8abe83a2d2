// A bounded queue of a mutex and two condition variables, with waits that give up: what went in comes out,
// once.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <deque>
#include <mutex>

namespace zsync::soak {
namespace {

using namespace std::chrono_literals;

struct bounded_queue {
  mutex lock;
  condition_variable filled;
  condition_variable drained;
  std::deque<std::uint64_t> items;  // lock
  std::uint64_t inside = 0;         // how many hold the lock: one, or the lock is broken

  void put(std::uint64_t value, tally& figures) {
    std::unique_lock guard(lock);
    while (items.size() >= 4) {
      if (drained.wait_for(guard, 500us) == std::cv_status::timeout) ++figures.disturbed;
    }
    enter(figures);
    items.push_back(value);
    guard.unlock();
    filled.notify_one();
  }

  std::uint64_t take(tally& figures) {
    std::unique_lock guard(lock);
    filled.wait(guard, [this] { return !items.empty(); });
    enter(figures);
    const std::uint64_t value = items.front();
    items.pop_front();
    guard.unlock();
    drained.notify_one();
    return value;
  }

  void enter(tally& figures) {
    if (++inside != 1) ++figures.wrong;
    this_fiber::yield();
    if (--inside != 0) ++figures.wrong;
  }
};

void exchange(tally& figures, randomness& dice) {
  bounded_queue queue;
  const std::uint64_t each = 1 + dice.below(200);
  std::atomic<std::uint64_t> sum{0};
  task_group group;
  for (int i = 0; i < 3; ++i) {
    group.spawn([&] {
      for (std::uint64_t n = 1; n <= each; ++n) queue.put(n, figures);
    });
    group.spawn([&] {
      for (std::uint64_t n = 1; n <= each; ++n) sum += queue.take(figures);
    });
  }
  group.wait();
  if (sum != 3 * each * (each + 1) / 2) ++figures.wrong;
}

}  // namespace

actor lock_actor() { return {"locks", exchange, 4}; }

}  // namespace zsync::soak
