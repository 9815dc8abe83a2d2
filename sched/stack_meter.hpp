// Measures the stacks of fibers that end. Not a public header: runtime_options::measure_stacks asks for it.
#pragma once

#include <zsync/fiber/control.hpp>
#include <zsync/sched/stack_usage.hpp>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace zsync::detail {

// What a fiber touched is what of its stack is resident when it ends; so a stack goes back to the kernel
// before the next fiber gets it. Thread-safe.
class stack_meter {
 public:
  explicit stack_meter(unsigned warning_percent) noexcept : warning_percent_(warning_percent) {}

  static void prepare(const stack& memory) noexcept;  // the caller may stand on it
  void record(const fiber_control& ended) noexcept;
  [[nodiscard]] std::vector<stack_usage> report() const;

 private:
  struct figures {
    std::size_t touched_max = 0;
    std::uint64_t fibers = 0;
    bool warned = false;
  };

  const unsigned warning_percent_;
  mutable std::mutex mutex_;
  std::map<std::pair<const void*, std::size_t>, figures> sites_;  // by site and size; mutex_
};

}  // namespace zsync::detail
