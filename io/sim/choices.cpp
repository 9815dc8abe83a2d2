#include <zsync/io/sim/choices.hpp>

#include <algorithm>

namespace zsync::detail::simulated {
namespace {

// Who is always first and never done has to let others run now and then: fibers that wait by yielding.
constexpr unsigned in_a_row_max = 64;

constexpr std::uint64_t first_low = 1ULL << 32;  // drawn priorities lie above

std::uint64_t mixed(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

choices::choices(const sim::options& how) : state_(mixed(how.seed)), given_(how.schedule), lowest_(first_low) {
  prioritised_ =
      how.choose == sim::strategy::either ? below(2) == 0 : how.choose == sim::strategy::priorities;
  for (unsigned i = 1; i < how.depth; ++i) changes_.push_back(below(std::max<std::uint64_t>(how.expected_steps, 1)));
  std::sort(changes_.rbegin(), changes_.rend());
}

// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
std::uint64_t choices::draw() noexcept { return mixed(state_ += 0x9e3779b97f4a7c15ULL); }

std::uint64_t choices::below(std::uint64_t n) noexcept {
  // Of 64 bits, so that the modulo's bias is nothing for the small n that there are.
  return n <= 1 ? 0 : draw() % n;
}

bool choices::chance(double probability) noexcept {
  if (probability <= 0) return false;  // and draws nothing
  return static_cast<double>(draw() >> 11) * 0x1.0p-53 < probability;
}

clock::duration choices::between(clock::duration min, clock::duration max) noexcept {
  if (max <= min) return min;
  return min + clock::duration{below(static_cast<std::uint64_t>((max - min).count()) + 1)};
}

void choices::note(std::uint64_t what) noexcept { fingerprint_ = mixed(fingerprint_ + 0x9e3779b97f4a7c15ULL + what); }

std::size_t choices::next(std::span<const std::uint64_t> names) {
  ++steps_;
  std::size_t chosen = 0;
  if (names.size() > 1) {
    const std::size_t at = made_.size();
    if (at < given_.size()) {
      chosen = std::min<std::size_t>(given_[at], names.size() - 1);
    } else {
      chosen = prioritised_ ? by_priority(names) : below(names.size());
    }
    made_.push_back(static_cast<std::uint32_t>(chosen));
  }
  note(names[chosen]);
  return chosen;
}

std::size_t choices::by_priority(std::span<const std::uint64_t> names) {
  std::size_t best = 0;
  std::uint64_t highest = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto [place, fresh] = priorities_.try_emplace(names[i]);
    if (fresh) place->second = first_low + 1 + below(~0ULL - first_low - 1);
    if (place->second < highest) continue;
    highest = place->second;
    best = i;
  }
  in_a_row_ = names[best] == running_ ? in_a_row_ + 1 : 0;
  running_ = names[best];
  const bool change = !changes_.empty() && changes_.back() <= steps_;
  if (change) changes_.pop_back();
  if (change || in_a_row_ >= in_a_row_max) priorities_[running_] = --lowest_;
  return best;
}

}  // namespace zsync::detail::simulated
