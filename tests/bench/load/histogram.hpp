// Latencies in buckets of 3 % width, from a nanosecond to a minute.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace bench {

class histogram {
 public:
  void add(std::int64_t ns) {
    ++counts_[index(static_cast<std::uint64_t>(ns))];
    ++total_;
    if (ns > max_) max_ = ns;
  }
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] double max_us() const { return static_cast<double>(max_) / 1000; }
  [[nodiscard]] double percentile_us(double share) const {
    const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) > wanted) return static_cast<double>(value(i)) / 1000;
    return max_us();
  }

 private:
  static constexpr unsigned steps = 32;
  static std::size_t index(std::uint64_t ns) {
    if (ns < steps) return ns;
    const auto octave = static_cast<unsigned>(std::bit_width(ns)) - 6;
    return octave * steps + (ns >> octave);
  }
  static std::uint64_t value(std::size_t i) {
    if (i < 2 * steps) return i;
    const std::size_t octave = i / steps - 1;
    return static_cast<std::uint64_t>(i - octave * steps) << octave;
  }

  std::array<std::uint64_t, 1280> counts_{};
  std::uint64_t total_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace bench
