// Programs that hang, each in its way: what a dump has to explain.
#pragma once

#include <zsync/sched/runtime.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace zsync::test {

struct plant {
  std::string name;
  // Fills a runtime with fibers that hang for ever. What it needs beside them is in `keep`.
  std::function<void(runtime& in, std::vector<std::shared_ptr<void>>& keep)> sow;
  std::vector<std::string> told;  // what its dump says, each as a regular expression
};

const std::vector<plant>& all_plants();

// Sows, says "planted PID" on stdout, and waits to be killed. For a child process.
[[noreturn]] void run_planted(const plant& one, const runtime_options& options);

}  // namespace zsync::test
