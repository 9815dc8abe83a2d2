// Trees of fibers: each counts its leaves. Some branches throw, some are cancelled on the way; no other may
// notice.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <memory>
#include <stdexcept>

namespace zsync::soak {
namespace {

struct withered : std::runtime_error {
  withered() : std::runtime_error("a leaf withered") {}
};

std::uint64_t grow(unsigned depth, bool withers) {
  if (depth == 0) {
    if (withers) throw withered();
    return 1;
  }
  fiber<std::uint64_t> left([=] { return grow(depth - 1, withers); });
  fiber<std::uint64_t> right([=] { return grow(depth - 1, false); });
  const std::uint64_t of_right = right.join();
  return left.join() + of_right;
}

void tree(tally& figures, randomness& dice) {
  const auto depth = static_cast<unsigned>(dice.below(9));
  const std::uint64_t way = dice.below(4);
  fiber<std::uint64_t> root([=] { return grow(depth, way == 1); });
  if (way == 2) {
    for (std::uint64_t i = dice.below(4); i > 0; --i) this_fiber::yield();
    root.cancel();
  }
  try {
    if (root.join() != std::uint64_t{1} << depth || way == 1) ++figures.wrong;
  } catch (const withered&) {
    way == 1 ? ++figures.disturbed : ++figures.wrong;
  } catch (const cancelled&) {
    if (way != 2) throw;
    ++figures.disturbed;
  }
}

}  // namespace

actor tree_actor() { return {"trees", tree, 4}; }

}  // namespace zsync::soak
