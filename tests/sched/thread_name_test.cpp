// What debuggers and top call the threads of a runtime.
#include "support/catch.hpp"

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/runtime.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>

using namespace std::chrono_literals;

namespace {

std::string name_of(const std::filesystem::path& task) {
  std::ifstream comm(task / "comm");
  std::string name;
  std::getline(comm, name);
  return name;
}

// By threads of this process, but for the caller.
std::set<std::string> names_seen() {
  std::set<std::string> names;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) names.insert(name_of(task));
  return names;
}

// As soon as they have come to it, for a thread names itself.
bool appears(const std::string& name) {
  const auto end = std::chrono::steady_clock::now() + 30s;
  while (names_seen().count(name) == 0) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

}  // namespace

// The number of the worker was cut off by a long name before.
TEST_CASE("threads are named after their runtime and what they do, however long its name", "[runtime]") {
  if (!std::filesystem::exists("/proc/self/task")) return;
  for (const std::string name : {"db", "the-name-of-a-service"}) {
    zsync::runtime r({.workers = 12, .name = name, .blocked_worker_threshold = 10s});
    const auto named = [&](const std::string& role) {
      return name.substr(0, 15 - 1 - role.size()) + "-" + role;
    };
    CHECK(appears(named("0")));
    CHECK(appears(named("11")));
    CHECK(appears(named("sentinel")));
    const std::string helper =
        r.block_on([] { return zsync::blocking([] { return name_of("/proc/thread-self"); }); });
    CHECK(helper == named("helper"));
  }
}
