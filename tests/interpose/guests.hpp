// Runs the programs of tests/interpose/guests.
#pragma once

#include "support/catch.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace zsync::test {

struct guest_run {
  bool built = true;  // false, and said: the library was not there to build with
  bool timed_out = false;
  int failed = -1;
  double seconds = 0;
};

inline guest_run run_guests(const std::string& program, const std::string& library, int fibers, int stopped,
                            const std::vector<std::string>& more,
                            std::chrono::milliseconds patience = std::chrono::seconds{60},
                            const std::vector<std::string>& environment = {}) {
  std::vector<std::string> command{program, library, std::to_string(fibers), std::to_string(stopped)};
  command.insert(command.end(), more.begin(), more.end());
  const child_result ended = run_program(command, {.environment = environment, .timeout = patience});
  guest_run run;
  run.timed_out = ended.timed_out;
  run.built = ended.exit_code != 3;
  if (!run.built) WARN(ended.out);
  INFO(ended.out + ended.err);
  if (run.built && !run.timed_out) {
    int count = 0;
    CHECK(std::sscanf(ended.out.c_str(), "%d fibers, %d failed, %lf s", &count, &run.failed, &run.seconds) ==
          3);
    CHECK(count == fibers);
    CHECK(ended.err == "");
  }
  return run;
}

inline bool is_installed(const std::string& program) {
  if (std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0) return true;
  WARN(program + " is not installed");
  return false;
}

}  // namespace zsync::test
