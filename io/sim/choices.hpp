// All that is drawn in a simulation comes from here, and leaves its mark in the fingerprint.
#pragma once

#include <zsync/io/sim/options.hpp>
#include <zsync/timer/clock.hpp>

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace zsync::detail::simulated {

class choices {
 public:
  explicit choices(const sim::options& how);

  std::uint64_t below(std::uint64_t n) noexcept;  // 0 <= result < n, which is at least 1
  bool chance(double probability) noexcept;
  clock::duration between(clock::duration min, clock::duration max) noexcept;

  // Which of several may happen now; they are told apart by their names, which last from step to step.
  std::size_t next(std::span<const std::uint64_t> names);

  void note(std::uint64_t what) noexcept;  // in the fingerprint
  [[nodiscard]] std::uint64_t fingerprint() const noexcept { return fingerprint_; }
  [[nodiscard]] const std::vector<std::uint32_t>& schedule() const noexcept { return made_; }

 private:
  std::uint64_t draw() noexcept;
  std::size_t by_priority(std::span<const std::uint64_t> names);

  std::uint64_t state_;
  std::uint64_t fingerprint_ = 0;
  const std::vector<std::uint32_t> given_;
  std::vector<std::uint32_t> made_;
  bool prioritised_ = false;
  struct standing {
    std::uint64_t priority = 0;
    unsigned turns = 0;  // with that priority
  };
  std::unordered_map<std::uint64_t, standing> standings_;  // looked up only, so that its order is nothing
  std::vector<std::uint64_t> changes_;                     // at which steps, the last first
  std::uint64_t steps_ = 0;
  std::uint64_t lowest_;
};

}  // namespace zsync::detail::simulated
