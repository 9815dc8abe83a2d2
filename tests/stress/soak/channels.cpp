// A pipeline through channels of random capacity: everything that was sent arrives, once and in order. At
// times it is cut short by a cancellation or a deadline, and then whatever arrived has to be a beginning of
// it.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <memory>
#include <optional>

namespace zsync::soak {
namespace {

void relay(receiver<std::uint64_t> from, sender<std::uint64_t> to) {
  while (std::optional<std::uint64_t> value = from.recv()) {
    if (!to.send(*value)) return;
  }
}

void pipeline(tally& figures, randomness& dice) {
  const std::uint64_t count = 1 + dice.below(2000);
  const bool cut = dice.one_in(4);
  auto [first_in, first_out] = channel<std::uint64_t>(dice.below(64));
  auto [last_in, last_out] = channel<std::uint64_t>(dice.below(64));

  fiber<void> producer([count, to = std::move(first_in)]() mutable {
    for (std::uint64_t i = 0; i < count; ++i) {
      if (!to.send(i)) return;
    }
  });
  fiber<void> stage([from = std::move(first_out), to = std::move(last_in)]() mutable {
    relay(std::move(from), std::move(to));
  });

  const std::uint64_t stop_at = cut ? dice.below(count) : count;
  std::uint64_t expected = 0;
  while (expected < stop_at) {
    const std::optional<std::uint64_t> value = last_out.recv();
    if (!value) break;
    if (*value != expected) ++figures.wrong;
    ++expected;
  }
  if (expected != stop_at) ++figures.wrong;
  if (cut) {
    ++figures.disturbed;  // the handles cancel the two that are still at it
  } else if (last_out.recv()) {
    ++figures.wrong;
  }
}

}  // namespace

actor channel_actor() { return {"channels", pipeline, 8}; }

}  // namespace zsync::soak
