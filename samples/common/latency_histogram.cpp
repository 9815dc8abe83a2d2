#include "common/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace samples {

// Octave 0 holds the values below 32, one a bucket. Octave n holds those with n + 5 significant bits, told
// apart by the five bits that follow the leading one.
latency_histogram::place latency_histogram::place_of(std::uint64_t value) noexcept {
  if (value < buckets) return {0, static_cast<std::size_t>(value)};
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - bits - 1;
  return {shift + 1, static_cast<std::size_t>(value >> shift) - buckets};
}

std::uint64_t latency_histogram::middle_of(place at) noexcept {
  if (at.octave == 0) return at.bucket;
  const std::size_t shift = at.octave - 1;
  const std::uint64_t lowest = std::uint64_t{buckets + at.bucket} << shift;
  return lowest + (std::uint64_t{1} << shift) / 2;
}

latency_histogram::octave& latency_histogram::octave_at(std::size_t index) {
  auto& slot = octaves_[index];
  if (!slot) slot = std::make_unique<octave>();
  return *slot;
}

void latency_histogram::record(duration value) {
  const std::int64_t kept = std::clamp(value, duration::zero(), value_max).count();
  const place at = place_of(static_cast<std::uint64_t>(kept));
  ++octave_at(at.octave)[at.bucket];
  ++count_;
  max_ = std::max(max_, kept);
  sum_ += static_cast<double>(kept);
}

void latency_histogram::merge(const latency_histogram& other) {
  for (std::size_t i = 0; i != octaves; ++i) {
    if (!other.octaves_[i]) continue;
    octave& mine = octave_at(i);
    for (std::size_t j = 0; j != buckets; ++j) mine[j] += (*other.octaves_[i])[j];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

latency_histogram::duration latency_histogram::mean() const noexcept {
  if (count_ == 0) return duration::zero();
  return duration{static_cast<std::int64_t>(sum_ / static_cast<double>(count_))};
}

latency_histogram::duration latency_histogram::quantile(double fraction) const noexcept {
  const double wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i != octaves; ++i) {
    if (!octaves_[i]) continue;
    for (std::size_t j = 0; j != buckets; ++j) {
      seen += (*octaves_[i])[j];
      if (seen >= rank) return duration{std::min(static_cast<std::int64_t>(middle_of({i, j})), max_)};
    }
  }
  return max();
}

}  // namespace samples
