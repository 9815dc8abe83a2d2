// Sleeps: none may end early, and how late they end is the tail latency that the soak watches.
#include "actor.hpp"

#include <zsync/zsync.hpp>

namespace zsync::soak {

actor timer_actor() {
  return {"timers",
          [](tally& figures, randomness& dice) {
            const auto wanted = std::chrono::microseconds{100 + dice.below(20'000)};
            const auto start = clock::now();
            this_fiber::sleep_for(wanted);
            const auto slept = clock::now() - start;
            if (slept < wanted) ++figures.wrong;
            figures.late(static_cast<std::uint64_t>(
                std::chrono::ceil<std::chrono::microseconds>(slept - wanted).count()));
          },
          200};
}

}  // namespace zsync::soak
