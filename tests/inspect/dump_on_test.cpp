// A dump by signal: who has the signal before, after and beside.
#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/subprocess.hpp"

#include <zsync/fiber/sanitizer.hpp>
#include <zsync/sched/dump_on.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <system_error>
#include <thread>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

std::atomic<int> came_before = 0;

std::string read_until(int fd, const std::string& end) {
  std::string text;
  for (char c = 0; text.find(end) == std::string::npos && ::read(fd, &c, 1) == 1;) text += c;
  return text;
}

}  // namespace

TEST_CASE("a dump by signal tells all runtimes, and gives the signal back", "[inspect]") {
  std::signal(SIGUSR1, [](int) { ++came_before; });
  const test::descriptor_map before = test::open_descriptors();
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  {
    const zsync::dump_on usr1(SIGUSR1, ends[1]);
    CHECK_THROWS_AS(zsync::dump_on(SIGUSR1), std::system_error);
    CHECK_THROWS_AS(zsync::dump_on(SIGKILL), std::system_error);
    CHECK_THROWS_AS(zsync::dump_on(-1), std::system_error);
    ::raise(SIGUSR1);
    CHECK_THAT(read_until(ends[0], "end of the dump\n"), Contains("there is no runtime"));
    zsync::runtime one({.workers = 1, .name = "one"});
    zsync::runtime other({.workers = 1, .name = "other"});
    auto parked = other.spawn({.name = "parked"}, [] { zsync::this_fiber::park(); });
    ::raise(SIGUSR1);
    const std::string dump = read_until(ends[0], "end of the dump\n");
    CHECK_THAT(dump, Contains("runtime 'one': 1 workers"));
    CHECK_THAT(dump, Contains("runtime 'other': 1 workers"));
    CHECK(came_before == 0);
  }
  ::raise(SIGUSR1);
  CHECK(came_before == 1);
  std::signal(SIGUSR1, SIG_DFL);
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(test::leaked_descriptors(before, test::open_descriptors()) == "");
}

#if !defined(ZSYNC_TSAN)  // which keeps a signal of the process's own until its next call of libc
TEST_CASE("a forked child ends by a signal that writes a dump in its parent", "[inspect]") {
  const auto result = test::run_in_child([] {
    const zsync::dump_on quit(SIGQUIT);
    const pid_t child = ::fork();
    if (child == 0) {
      ::raise(SIGQUIT);
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGQUIT)
      std::abort();
  });
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}
#endif

TEST_CASE("signals that come while a dump by signal begins and ends harm nobody", "[inspect]") {
  std::signal(SIGUSR2, [](int) {});
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  std::thread reads([&] {
    char text[4096];
    while (::read(ends[0], text, sizeof text) > 0) {
    }
  });
  std::atomic<bool> enough = false;
  std::thread sends([&] {
    while (!enough) {
      ::kill(::getpid(), SIGUSR2);
      std::this_thread::sleep_for(50us);
    }
  });
  for (int i = 0; i < 50; ++i) {
    const zsync::dump_on usr2(SIGUSR2, ends[1]);
    std::this_thread::sleep_for(200us);
  }
  enough = true;
  sends.join();
  ::close(ends[1]);
  reads.join();
  ::close(ends[0]);
  std::signal(SIGUSR2, SIG_DFL);
}
