// What the process may use, and what it has used.
#pragma once

#include <chrono>
#include <cstddef>

namespace samples {

// Raises the limit on open descriptors as far as this process may, up to `wanted`. Returns the limit then in
// force.
std::size_t raise_descriptor_limit(std::size_t wanted);

std::size_t resident_bytes();  // of this process now; 0 where the system does not say

struct cpu_time {
  std::chrono::nanoseconds user{}, kernel{};
  [[nodiscard]] std::chrono::nanoseconds total() const { return user + kernel; }
  friend cpu_time operator-(cpu_time a, cpu_time b) { return {a.user - b.user, a.kernel - b.kernel}; }
};
cpu_time cpu_time_used();  // by this process so far, all threads

}  // namespace samples
