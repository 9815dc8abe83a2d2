// Signal handlers, children and threads that end, while fibers wait or others hold what they need.
#include "interpose/one_worker.hpp"
#include "support/catch.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace zsync::test;

extern "C" pid_t _Fork() noexcept;

namespace {

child_result run_again(const std::string& tag) {
  return run_program({std::filesystem::read_symlink("/proc/self/exe"), tag}, {.timeout = 60s});
}

// What POSIX allows a handler to call.
void call_what_is_safe() {
  ::fcntl(0, F_GETFL);
  ::fcntl(0, F_SETFL, ::fcntl(0, F_GETFL));
  ::close(5000);
  ::dup2(1, 99);
}

// Many helpers' worth of those who wait for one who needs a helper himself.
constexpr int many = 80;

void ask_for_a_name() {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  CHECK(::getaddrinfo("127.0.0.1", nullptr, &hints, &found) == 0);
  if (found != nullptr) ::freeaddrinfo(found);
}

}  // namespace

TEST_CASE("a child is interrupted by a handler that calls what it is in", "[.][interrupted]") {
  static std::atomic<int> handled{0};
  struct sigaction action {};
  action.sa_handler = [](int) {
    const int error = errno;
    call_what_is_safe();
    ++handled;
    errno = error;
  };
  ::sigaction(SIGALRM, &action, nullptr);
  const itimerval often{{0, 100}, {0, 100}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  while (handled < 2000) call_what_is_safe();
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &never, nullptr);
}

TEST_CASE("off a fiber a signal handler may call fcntl, close and dup2, whatever it interrupts",
          "[interpose]") {
  const child_result ended = run_again("[interrupted]");
  CHECK(!ended.timed_out);
  CHECK(ended.exit_code == 0);
}

TEST_CASE("a child forks while threads are in fcntl", "[.][forks]") {
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&] {
      while (!stop) call_what_is_safe();
    });
  }
  for (int i = 0; i < 300; ++i) {
    const pid_t child = i % 2 == 0 ? ::fork() : ::_Fork();
    if (child == 0) {
      ::alarm(20);
      call_what_is_safe();
      ::_exit(5);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
  }
  stop = true;
  for (std::thread& each : busy) each.join();
}

TEST_CASE("the child of a fork calls fcntl, close and dup2, whatever other threads were in", "[interpose]") {
  const child_result ended = run_again("[forks]");
  CHECK(!ended.timed_out);
  CHECK(ended.exit_code == 0);
}

TEST_CASE("the child of _Fork() is no fiber", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::_Fork();
    if (child == 0) {
      ::alarm(20);
      char c = 0;
      ::_exit(::read(ends[0], &c, 1) == 1 ? 5 : 6);
    }
    zsync::this_fiber::sleep_for(2ms);
    CHECK(::write(ends[1], "x", 1) == 1);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 5));
    for (const int fd : ends) ::close(fd);
  });
}

TEST_CASE("a thread is joined by a fiber that is cancelled, and by one whose time is over", "[interpose]") {
  on_one_worker([] {
    std::atomic<bool> go{false};
    bool joined = false;
    const auto start = [&go] {
      return std::thread([&go] {
        while (!go) std::this_thread::sleep_for(1ms);
      });
    };
    zsync::fiber cancelled([&] {
      std::thread thread = start();
      while (!zsync::this_fiber::cancellation_requested()) zsync::this_fiber::yield();
      thread.join();  // would throw
      joined = true;
    });
    cancelled.cancel();
    zsync::fiber late([&] {
      std::thread thread = start();
      const zsync::deadline_scope none(0s);
      thread.join();
    });
    zsync::this_fiber::sleep_for(5ms);
    CHECK(!joined);
    go = true;
    CHECK_NOTHROW(cancelled.join());
    CHECK_NOTHROW(late.join());
    CHECK(joined);
  });
}

TEST_CASE("those who wait for a file's lock keep nobody from a helper", "[interpose]") {
  on_one_worker([] {
    zsync::test::temporary_directory folder;
    const std::string path = folder.path() / "file";
    const auto open = [&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); };
    const int mine = open();
    CHECK(::flock(mine, LOCK_EX) == 0);
    int begun = 0;
    std::vector<zsync::fiber<int>> waiting;
    for (int i = 0; i < many; ++i) {
      waiting.emplace_back([&] {
        const int fd = open();
        ++begun;
        const int result = ::flock(fd, LOCK_EX);
        ::close(fd);
        return result;
      });
    }
    while (begun < many) zsync::this_fiber::yield();
    zsync::this_fiber::sleep_for(2ms);
    ask_for_a_name();
    CHECK(::flock(mine, LOCK_UN) == 0);
    for (auto& each : waiting) CHECK(each.join() == 0);
    ::close(mine);
  });
}

TEST_CASE("those who wait for children keep nobody from a helper", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    int begun = 0;
    std::vector<zsync::fiber<bool>> waiting;
    for (int i = 0; i < many; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(ends[1]);
        char c = 0;
        ::_exit(static_cast<int>(::read(ends[0], &c, 1)));  // the end
      }
      waiting.emplace_back([child, i, &begun] {
        ++begun;
        int status = -1;
        siginfo_t found{};
        const bool came = i % 2 == 0 ? ::waitpid(child, &status, 0) == child
                                     : ::waitid(P_PID, static_cast<id_t>(child), &found, WEXITED) == 0;
        return came && (i % 2 == 0 ? status == 0 : found.si_pid == child && found.si_status == 0);
      });
    }
    while (begun < many) zsync::this_fiber::yield();
    zsync::this_fiber::sleep_for(2ms);
    ask_for_a_name();
    for (const int fd : ends) ::close(fd);
    for (auto& each : waiting) CHECK(each.join());
  });
}

TEST_CASE("waiting for a child ends with the fiber's time", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[1]);
      char c = 0;
      ::_exit(static_cast<int>(::read(ends[0], &c, 1)));
    }
    {
      const zsync::deadline_scope scope(5ms);
      CHECK(::waitpid(child, nullptr, 0) == -1);
      CHECK(errno == ETIMEDOUT);
    }
    for (const int fd : ends) ::close(fd);
    CHECK(::waitpid(child, nullptr, 0) == child);
  });
}

TEST_CASE("a plain thread may be cancelled while it waits for a child, by whichever call", "[interpose]") {
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  static std::atomic<bool> begun;
  for (void* (*wait)(void*) : {+[](void*) -> void* {
                                 begun = true;
                                 ::wait4(-1, nullptr, 0, nullptr);
                                 return nullptr;
                               },
                               +[](void*) -> void* {
                                 begun = true;
                                 ::wait3(nullptr, 0, nullptr);
                                 return nullptr;
                               }}) {
    begun = false;
    pthread_t thread;
    REQUIRE(::pthread_create(&thread, nullptr, wait, nullptr) == 0);
    while (!begun) std::this_thread::sleep_for(1ms);
    ::pthread_cancel(thread);
    void* result = nullptr;
    CHECK(::pthread_join(thread, &result) == 0);
    CHECK(result == PTHREAD_CANCELED);
  }
  ::kill(child, SIGKILL);
  CHECK(::waitpid(child, nullptr, 0) == child);
}
