// Fibers in gdb: of a process, and of its core.
#include "planted.hpp"

#include "support/catch.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace zsync::test {
namespace {

using Catch::Contains;
using namespace std::chrono_literals;

std::string own_path() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, n > 0 ? static_cast<std::size_t>(n) : 0);
}

// Runs gdb on `what`, with the extension, and gives back all that it says.
std::string gdb(const std::vector<std::string>& what, const std::vector<std::string>& commands) {
  std::vector<std::string> line{"gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", own_path()};
  line.insert(line.end(), what.begin(), what.end());
  line.insert(line.end(), {"-ex", "source " ZSYNC_GDB});
  for (const std::string& one : commands) line.insert(line.end(), {"-ex", one});
  const child_result said = run_program(line, {.timeout = 100s});
  return said.out + said.err;
}

bool gdb_is_of_use() {
#if defined(__linux__) && defined(__x86_64__)
  if (ZSYNC_TESTS_SANITIZED != 0) {
    WARN("skipped: gdb is not asked about a program that a sanitizer watches");
  } else if (run_program({"gdb", "--version"}).exit_code != 0) {
    WARN("skipped: there is no gdb");
  } else if (gdb({}, {"python gdb.lookup_type('zsync::detail::scheduler')"}).find("rror") !=
             std::string::npos) {
    WARN("skipped: zsync was built without debug information");
  } else {
    return true;
  }
#else
  WARN("skipped: the extension is for Linux on x86-64");
#endif
  return false;
}

std::size_t times(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

// Whoever may not trace another process of his own.
bool refused(const std::string& said) {
  if (said.find("Operation not permitted") == std::string::npos) return false;
  WARN("skipped: gdb may not attach to a process here");
  return true;
}

background_program planted(const std::string& name) {
  return background_program({own_path(), "runs what was planted"},
                            {.environment = {"ZSYNC_PLANT=" + name, "ZSYNC_PLANT_DUMPS=/dev/null"}});
}

// Until `until` is among what is said: the fibers need a moment to hang.
std::string attach(const background_program& to, const std::vector<std::string>& commands,
                   const std::string& until) {
  std::string said;
  for (int i = 0; i < 20 && said.find(until) == std::string::npos; ++i) {
    if (i != 0) std::this_thread::sleep_for(100ms);
    said = gdb({"-p", std::to_string(to.pid())}, commands);
    if (said.find("Operation not permitted") != std::string::npos) break;
  }
  return said;
}

const std::vector<std::string> questions{"info zsync-fibers",
                                         "zsync bt all",
                                         "zsync fiber takes B",
                                         "zsync fiber takes A",
                                         "bt",
                                         "zsync fiber",
                                         "up"};

void check_deadlock_is_told(const std::string& said) {
  INFO(said);
  CHECK_THAT(said, Contains("runtime zsync: 2 workers, 2 fibers\n"));
  for (const std::string name : {"takes A", "takes B"})
    CHECK_THAT(said, Contains("'" + name + "', waiting: mutex 0x"));
  CHECK(times(said, "spawned in sow_deadlock at planted_test.cpp:") == 2);
  // Twice by `zsync bt all` and once by `bt`, the innermost first, and nothing of the scheduler.
  CHECK(times(said, " zsync::mutex::lock() ") == 3);
  CHECK(times(said, "\nfiber 1 'takes A', waiting\n#") + times(said, "\nfiber 2 'takes A', waiting\n#") == 1);
  CHECK(times(said, "suspend_aside") == 0);
  CHECK(times(said, "enter_fiber") == 0);
  CHECK_THAT(said, Contains("shown is fiber "));
  CHECK(times(said, "zsync::detail::lock_word::lock () at ") ==
        1);  // by `up`, which has no types of arguments
}

}  // namespace

TEST_CASE("gdb lists fibers and shows the stack of each, of a process and of its core", "[inspect]") {
  if (!gdb_is_of_use()) return;
  const temporary_directory directory;
  background_program program = planted("deadlock");
  program.wait_for("planted", 30s);
  const std::string core = (directory / "core").string();
  std::vector<std::string> live = questions;
  live.insert(live.end(), {"zsync gcore " + core, "zsync fiber none", "bt 1"});
  const std::string said = attach(program, live, "'takes B', waiting: mutex");
  if (refused(said)) return;
  check_deadlock_is_told(said);
  CHECK_THAT(said, Contains("#0 ") && Contains("the stacks of the fibers"));
  check_deadlock_is_told(gdb({core}, questions));
}

TEST_CASE("gdb shows a fiber that runs on the thread that runs it", "[inspect]") {
  if (!gdb_is_of_use()) return;
  background_program program = planted("blocked worker");
  program.wait_for("planted", 30s);
  const std::string said = attach(program, {"info zsync-fibers", "zsync bt all", "zsync fiber no such one"},
                                  "'holds its worker', running, spawned in sow_blocked_worker at");
  if (refused(said)) return;
  INFO(said);
  CHECK_THAT(said, Contains("'holds its worker', running\n#0 ") && Contains("usleep"));
  CHECK_THAT(said, Contains("there is no fiber no such one"));
}

}  // namespace zsync::test
