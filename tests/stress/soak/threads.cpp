// Plain threads and helpers: a fiber is woken from outside and waits for blocking calls; no wake may be lost.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <thread>

namespace zsync::soak {
namespace {

using namespace std::chrono_literals;

void ping(tally& figures, randomness& dice) {
  const auto rounds = static_cast<unsigned>(1 + dice.below(100));
  std::atomic<unsigned> asked{0};
  std::atomic<unsigned> answered{0};
  const waker mine = this_fiber::get_waker();
  std::thread outside([&, mine] {
    for (unsigned i = 1; i <= rounds; ++i) {
      while (asked.load() < i) std::this_thread::yield();
      answered.store(i);
      mine.wake();
    }
  });
  {
    const cancellation_shield to_the_end;  // the thread refers to this stack
    for (unsigned i = 1; i <= rounds; ++i) {
      asked.store(i);
      while (answered.load() < i) {
        if (!this_fiber::park_for(10s)) ++figures.wrong;
      }
    }
    blocking([&] { outside.join(); });
  }
  if (blocking([rounds] { return rounds + 1; }) != rounds + 1) ++figures.wrong;
}

}  // namespace

actor thread_actor() { return {"threads", ping, 1}; }

}  // namespace zsync::soak
