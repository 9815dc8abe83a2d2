// A dump by signal: who has the signal before, after and beside.
#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/fiber/sanitizer.hpp>
#include <zsync/sched/dump_on.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
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

// That takes no more, until it is read.
class full_pipe {
 public:
  explicit full_pipe(int flags = 0) {
    if (::pipe(ends_) != 0) std::abort();
    ::fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    const std::string some(4096, '.');
    while (::write(ends_[1], some.data(), some.size()) > 0) {
    }
    ::fcntl(ends_[1], F_SETFL, flags);
  }
  ~full_pipe() {
    ::close(ends_[0]);
    close_writer();
  }
  full_pipe(const full_pipe&) = delete;
  full_pipe& operator=(const full_pipe&) = delete;

  [[nodiscard]] int reader() const noexcept { return ends_[0]; }
  [[nodiscard]] int writer() const noexcept { return ends_[1]; }
  void close_writer() noexcept {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  int ends_[2];
};

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

TEST_CASE("a dump by signal ends although nobody reads it", "[inspect]") {
  const int flags = GENERATE(0, O_NONBLOCK);
  const full_pipe unread(flags);
  const zsync::runtime own({.workers = 1});
  zsync::dump_on usr1(SIGUSR1, unread.writer());
  for (int i = 0; i < 100'000; ++i) ::raise(SIGUSR1);  // more than its own pipe holds
}

TEST_CASE("a dump by signal waits for who reads it slowly, and answers many signals at once", "[inspect]") {
  const int flags = GENERATE(0, O_NONBLOCK);
  full_pipe slow(flags);
  std::string said;
  {
    const zsync::runtime own({.workers = 1, .name = "own"});
    const zsync::dump_on usr1(SIGUSR1, slow.writer());
    for (int i = 0; i < 1000; ++i) ::raise(SIGUSR1);
    std::this_thread::sleep_for(20ms);
    said = read_until(slow.reader(), "end of the dump\n");
  }
  slow.close_writer();
  said += read_until(slow.reader(), "no such text");
  CHECK_THAT(said, Contains("runtime 'own': 1 workers"));
  std::size_t dumps = 0;
  for (std::size_t at = 0; (at = said.find("end of the dump", at)) != std::string::npos; ++at) ++dumps;
  CHECK(dumps <= 3);
}

TEST_CASE("a forked child that destroys a dump by signal leaves its parent's alone", "[inspect]") {
  if (test::sanitized) return;  // ThreadSanitizer allows no threads in the child of a process with threads
  const auto result = test::run_in_child([] {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    auto quit = std::make_unique<zsync::dump_on>(SIGQUIT, ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      quit.reset();
      quit = std::make_unique<zsync::dump_on>(SIGQUIT, ends[1]);
      ::raise(SIGQUIT);
      if (read_until(ends[0], "end of the dump\n").find("there is no runtime") == std::string::npos)
        ::_exit(1);
      quit.reset();
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) std::abort();
    ::raise(SIGQUIT);
    if (read_until(ends[0], "end of the dump\n").find("there is no runtime") == std::string::npos)
      std::abort();
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}
