// Tokens that wander between fibers by select, over rendezvous and buffered channels, with cases that time
// out: in the end each token is somewhere, once.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace zsync::soak {
namespace {

using namespace std::chrono_literals;

struct road {
  sender<int> in;
  receiver<int> out;
};

road make_road(std::size_t capacity) {
  auto [in, out] = channel<int>(capacity);
  return {in, out};
}

using roads = std::array<road, 3>;

std::vector<int> wander(roads& all, std::vector<int> held, std::uint64_t seed, tally& figures) {
  randomness dice(seed);
  const auto keep = [&held](std::optional<int> token) {
    if (token) held.push_back(*token);
  };
  for (int step = 0; step < 100; ++step) {
    road& there = all[dice.below(all.size())];
    road& elsewhere = all[dice.below(all.size())];
    if (held.empty()) {
      select(on_recv(there.out, keep), on_recv(elsewhere.out, keep),
             after(1ms, [&] { ++figures.disturbed; }));
    } else {
      const int offered = held.back();
      select(on_send(there.in, offered, [&] { std::erase(held, offered); }), on_recv(elsewhere.out, keep),
             after(1ms, [&] { ++figures.disturbed; }));
    }
  }
  return held;
}

void tokens(tally& figures, randomness& dice) {
  roads all{make_road(0), make_road(1), make_road(3)};
  std::vector<fiber<std::vector<int>>> wanderers;
  for (int i = 0; i < 6; ++i) {
    wanderers.emplace_back([&all, &figures, i, seed = dice.next()] {
      return wander(all, {2 * i, 2 * i + 1}, seed, figures);
    });
  }
  std::vector<int> found;
  for (auto& one : wanderers) {
    const std::vector<int> held = one.join();
    found.insert(found.end(), held.begin(), held.end());
  }
  for (road& one : all) {
    one.in.close();
    while (const std::optional<int> left = one.out.recv()) found.push_back(*left);
  }
  std::ranges::sort(found);
  bool complete = found.size() == 12;
  for (int i = 0; complete && i < 12; ++i) complete = found[static_cast<std::size_t>(i)] == i;
  if (!complete) ++figures.wrong;
}

}  // namespace

actor select_actor() { return {"selects", tokens, 4}; }

}  // namespace zsync::soak
