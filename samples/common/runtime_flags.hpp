// The options that every sample takes.
#pragma once

#include <zsync/io/inspection.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/stats.hpp>

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

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

  // If --trace was given, opens its file: before the sample, for afterwards it would be too late to fail.
  void open_trace();
  void write_trace(const zsync::runtime& of);

  // If --stats was given, prints a runtime's counters on stderr.
  void print_stats(const zsync::runtime_stats& stats) const;

 private:
  zsync::runtime_options options_;
  std::uint64_t workers_ = options_.workers;
  std::uint64_t stack_size_ = options_.stack_size;
  bool stats_ = false;
  bool inspect_ = false;
  std::string trace_;  // a file; empty: none
  std::ofstream trace_file_;
};

}  // namespace samples
