// What cannot work says so, instead of hanging or passing in silence.
#include <zsync/sched/blocking.hpp>
#include <zsync/sched/local.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

void check_refused(const std::function<void()>& body, const std::string& message) {
  const auto ended = test::run_in_child(body);
  CHECK_FALSE(ended.timed_out);
  CHECK(ended.signal == SIGABRT);
  CHECK_THAT(ended.err, Contains(message));
}

}  // namespace

TEST_CASE("a loop that is driven by one of its own fibers ends the process with a message", "[misuse]") {
  check_refused(
      [] {
        zsync::loop own;
        own.post([&] { own.poll(); });
        own.poll();
      },
      "a loop is driven while it is driven");
}

TEST_CASE("a loop that is driven by two threads at once ends the process with a message", "[misuse]") {
  check_refused(
      [] {
        zsync::loop own;
        std::atomic<bool> driven = false;
        std::thread other([&] {
          own.post([&] {
            driven = true;
            std::this_thread::sleep_for(5s);
          });
          own.run();
        });
        while (!driven) std::this_thread::yield();
        own.poll();
        other.join();
      },
      "a loop is driven while it is driven");
}

TEST_CASE("a loop that is driven by one thread and then by another ends the process with a message",
          "[misuse]") {
  check_refused(
      [] {
        zsync::loop own;
        std::thread([&] { own.poll(); }).join();
        own.poll();
      },
      "a loop is driven by another thread than the first that drove it");
}

TEST_CASE("a runtime that one of its own fibers shuts down ends the process with a message", "[misuse]") {
  check_refused(
      [] {
        zsync::runtime own;
        own.block_on([&] { own.shutdown(1h); });
      },
      "a fiber shuts down the runtime that runs it");
}

TEST_CASE("a cancellation shield that ends in another fiber ends the process with a message", "[misuse]") {
  check_refused(
      [] {
        zsync::run([] {
          auto shield = std::make_unique<zsync::cancellation_shield>();
          zsync::spawn([&] { shield.reset(); }).join();
        });
      },
      "a cancellation_shield ends elsewhere");
}

TEST_CASE("a task group that one of its children waits for ends the process with a message", "[misuse]") {
  check_refused(
      [] {
        zsync::run([] {
          zsync::task_group group;
          group.spawn([&] { group.wait(); });
          group.wait();
        });
      },
      "a task group is waited for by one of its children");
  check_refused(
      [] {
        zsync::run(
            [] {
              auto group = std::make_shared<zsync::task_group>();
              group->spawn([group]() mutable { group.reset(); });
              group.reset();
              zsync::this_fiber::sleep_for(1s);
            },
            {.workers = 1});
      },
      "a task group is waited for by one of its children");
}

TEST_CASE("detaching a fiber that has failed already terminates, as its failure would have", "[misuse]") {
  const auto ended = test::run_in_child([] {
    std::set_terminate([] { ::_exit(77); });
    zsync::run([] {
      zsync::fiber failed([] { throw std::runtime_error("nobody asks"); });
      zsync::this_fiber::sleep_for(5ms);
      failed.detach();
      zsync::this_fiber::sleep_for(5ms);
    });
  });
  CHECK(ended.exit_code == 77);
}

TEST_CASE("a failure is not lost if the fiber is detached between its failure and its end", "[misuse]") {
  struct slow_to_die {
    ~slow_to_die() { zsync::this_fiber::sleep_for(50ms); }
  };
  static zsync::fiber_local<std::shared_ptr<slow_to_die>> last_act;
  const auto ended = test::run_in_child([] {
    std::set_terminate([] { ::_exit(77); });
    zsync::run([] {
      zsync::fiber failed([] {
        *last_act = std::make_shared<slow_to_die>();
        throw std::runtime_error("nobody asks");
      });
      zsync::this_fiber::sleep_for(10ms);
      failed.detach();
      zsync::this_fiber::sleep_for(100ms);
    });
  });
  CHECK(ended.exit_code == 77);
}

TEST_CASE("detaching a fiber that was cancelled and has ended is nothing special", "[misuse]") {
  zsync::run([] {
    zsync::fiber cancelled([] { zsync::this_fiber::sleep_for(10s); });
    zsync::this_fiber::yield();
    cancelled.cancel();
    zsync::this_fiber::sleep_for(5ms);
    cancelled.detach();
  });
}

TEST_CASE("a child that a helper thread forked cannot come back into its fiber", "[misuse][fork]") {
  const auto ended = test::run_in_child([] {
    zsync::run([] {
      pid_t child = -1;
      zsync::blocking([&] { child = ::fork(); });
      if (child == 0) ::_exit(3);
      int status = 0;
      zsync::blocking([&] { ::waitpid(child, &status, 0); });
      ::_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT ? 0 : 1);
    });
  });
  CHECK(ended.exit_code == 0);
  CHECK_THAT(ended.err, Contains("may only exec or _exit"));
}

TEST_CASE("little address space is enough for a few fibers", "[misuse]") {
  if (test::sanitized) return;  // they reserve terabytes
  const auto ended = test::run_in_child([] {
    std::size_t pages = 0;  // mapped already
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t limit = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + (40 << 20);
    const rlimit little{limit, limit};
    if (::setrlimit(RLIMIT_AS, &little) != 0) return;
    int ran = 0;
    zsync::run(
        [&] {
          zsync::task_group some;
          for (int i = 0; i < 20; ++i) some.spawn([&] { ++ran; });
          some.wait();
        },
        {.workers = 1});
    std::printf("%d", ran);
  });
  INFO(ended.err);
  CHECK(ended.out == "20");
}
