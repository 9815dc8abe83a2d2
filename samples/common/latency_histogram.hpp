// A histogram of durations: exact to 3 %, from a nanosecond to eighteen minutes, in a kilobyte or so.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

namespace samples {

// Log-linear, after HdrHistogram: each power of two is cut into 32 equal buckets. The buckets of a power of
// two come into being with the first value that falls into it, so that ten thousand fibers can each keep a
// histogram of their own and merge them at the end. Not for use by two threads at once.
class latency_histogram {
 public:
  using duration = std::chrono::nanoseconds;

  // Longer than value_max counts as value_max, negative as zero.
  void record(duration value);
  void merge(const latency_histogram& other);

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] duration max() const noexcept { return duration{max_}; }  // exact
  [[nodiscard]] duration mean() const noexcept;

  // The value that `fraction` of all values do not exceed: 0.5 is the median. Zero if there are none.
  [[nodiscard]] duration quantile(double fraction) const noexcept;

  static constexpr duration value_max{(std::int64_t{1} << 40) - 1};

 private:
  static constexpr unsigned bits = 5;  // of precision
  static constexpr std::size_t buckets = std::size_t{1} << bits;
  static constexpr std::size_t octaves = 40 - bits + 1;
  using octave = std::array<std::uint32_t, buckets>;

  struct place {
    std::size_t octave, bucket;
  };
  static place place_of(std::uint64_t value) noexcept;
  static std::uint64_t middle_of(place at) noexcept;

  octave& octave_at(std::size_t index);

  std::array<std::unique_ptr<octave>, octaves> octaves_;
  std::uint64_t count_ = 0;
  std::int64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace samples
