#include <zsync/io/sim/choices.hpp>

#include <algorithm>

namespace zsync::detail::simulated {
namespace {

// Who is always first and never done has to let others run now and then: fibers that wait by yielding.
constexpr unsigned turns_max = 64;

constexpr std::uint64_t first_low = 1ULL << 32;  // drawn priorities lie above

std::uint64_t mixed(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

choices::choices(const sim::options& how)
    : state_(mixed(how.seed)), given_(how.schedule), lowest_(first_low) {
  prioritised_ =
      how.choose == sim::strategy::either ? below(2) == 0 : how.choose == sim::strategy::priorities;
  const std::uint64_t length = how.expected_steps != 0 ? how.expected_steps : 64ULL << below(8);
  for (unsigned i = 1; i < how.depth; ++i) changes_.push_back(below(length));
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

void choices::note(std::uint64_t what) noexcept {
  fingerprint_ = mixed(fingerprint_ + 0x9e3779b97f4a7c15ULL + what);
}

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
  standing* first = nullptr;
  for (std::size_t i = 0; i < names.size(); ++i) {
    standing& s = standings_[names[i]];
    if (s.priority == 0) s.priority = first_low + 1 + below(~0ULL - first_low - 1);
    if (first != nullptr && s.priority <= first->priority) continue;
    first = &s;
    best = i;
  }
  const bool change = !changes_.empty() && changes_.back() <= steps_;
  if (change) changes_.pop_back();
  if (++first->turns == turns_max || change) *first = {--lowest_, 0};
  return best;
}

}  // namespace zsync::detail::simulated
