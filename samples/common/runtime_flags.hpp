// The options that every sample takes.
#pragma once

#include <zsync/io/inspection.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/stats.hpp>

#include <cstdint>
#include <optional>

namespace CLI {
class App;
}

namespace samples {

class runtime_flags {
 public:
  void add_to(CLI::App& command);

  [[nodiscard]] zsync::runtime_options options() const;

  // If --inspect was given, what opens this process to `zsync-run dump` and `zsync-run stat`.
  [[nodiscard]] std::optional<zsync::inspection> inspection() const;

  // If --stats was given, prints a runtime's counters on stderr.
  void print_stats(const zsync::runtime_stats& stats) const;

 private:
  zsync::runtime_options options_;
  std::uint64_t workers_ = options_.workers;
  std::uint64_t stack_size_ = options_.stack_size;
  bool stats_ = false;
  bool inspect_ = false;
};

}  // namespace samples
