// zsync-run's commands that look into another process.
#pragma once

#include <CLI/App.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace samples {

// `zsync-run dump PID` and `zsync-run stat PID`; on Linux alone.
class inspecting {
 public:
  static std::vector<std::string> names();  // of the commands

  void add_to(CLI::App& app);

  // Does what was asked for; false: it was neither. What prevents it is thrown as std::runtime_error.
  bool run() const;

 private:
  void show_figures() const;

  const CLI::App* dump_ = nullptr;
  const CLI::App* stat_ = nullptr;
  std::uint64_t pid_ = 0;
  bool json_ = false;
  bool once_ = false;
  bool prometheus_ = false;
  std::chrono::nanoseconds interval_ = std::chrono::seconds{1};
};

}  // namespace samples
