#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

using steady = std::chrono::steady_clock;

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

zsync::runtime_options watched(zsync::runtime_options options) {
  options.blocked_worker_threshold = 50ms;
  return options;
}

// Longer than a busy machine keeps a thread waiting for a processor.
zsync::runtime_options half_a_second(zsync::runtime_options options) {
  options.blocked_worker_threshold = 500ms;
  return options;
}

// In calls that block the thread: one that computes takes signals late under ThreadSanitizer.
void hold_the_worker(std::chrono::milliseconds d) {
  for (const auto end = steady::now() + d; steady::now() < end;) ::usleep(1000);
}

// How often the sentinel of this process went to sleep, by the kernel's count; -1 without one.
long sleeps_of_sentinel() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name.find("-sentinel") == std::string::npos) continue;
    std::ifstream status(task.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("voluntary_ctxt_switches:", 0) == 0) return std::stol(line.substr(line.find('\t')));
    }
  }
  return -1;
}

}  // namespace

TEST_CASE("a fiber that holds its worker is reported once, with its name and its stack", "[sentinel]") {
  test::matrix({.backends = false, .policies = true}, [](const zsync::runtime_options& options) {
    const auto result = test::run_in_child([&] {
      zsync::runtime own(watched(options));
      own.spawn({.name = "holds"}, [] { hold_the_worker(500ms); }).join();
    });
    INFO(result.err);
    CHECK(result.exit_code == 0);
    CHECK(count(result.err, "is held by fiber 1 'holds' for ") == 1);
    CHECK_THAT(result.err, Contains("usleep"));
    CHECK_THAT(result.err, Contains("spawned at "));
    CHECK(count(result.err, "zsync: worker") == 1);
  });
}

TEST_CASE("a fiber that holds its worker again is reported again", "[sentinel]") {
  const auto result = test::run_in_child([&] {
    zsync::runtime own(watched({.workers = 1}));
    own.spawn([] {
         for (int i = 0; i < 2; ++i) {
           hold_the_worker(500ms);
           zsync::this_fiber::sleep_for(50ms);
         }
       })
        .join();
  });
  CHECK(count(result.err, "is held by fiber 1 ") == 2);
}

TEST_CASE("a call that goes on after a signal is not ended by a report", "[sentinel]") {
  const auto result = test::run_in_child([&] {
    zsync::runtime own(watched({.workers = 1}));
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    std::thread writes([&] {
      std::this_thread::sleep_for(500ms);
      if (::write(ends[1], "x", 1) != 1) std::abort();
    });
    char c = 0;
    const auto n = own.block_on([&] { return ::read(ends[0], &c, 1); });
    writes.join();
    if (n != 1 || c != 'x') std::abort();
  });
  CHECK(result.exit_code == 0);
  // ThreadSanitizer keeps the signal back until the call is over.
  const std::size_t reports = count(result.err, "is held by fiber");
  CHECK((reports == 1 || (test::sanitized && reports == 0)));
}

TEST_CASE("fibers that keep a worker busy, and waits of any length, are not reported", "[sentinel][serial]") {
  const auto result = test::run_in_child([&] {
    zsync::runtime own(half_a_second({.workers = 1}));
    auto alone = own.spawn([] {
      for (const auto end = steady::now() + 800ms; steady::now() < end;) zsync::this_fiber::yield();
    });
    alone.join();
    own.block_on([] { zsync::this_fiber::sleep_for(800ms); });
    zsync::loop driven(half_a_second({}));
    driven.post([] { zsync::this_fiber::sleep_for(1ms); });
    driven.poll();
    std::this_thread::sleep_for(800ms);
    driven.run();
  });
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}

TEST_CASE("newborns of a held worker move to others, even those it has not looked at yet", "[sentinel]") {
  const auto result = test::run_in_child([&] {
    zsync::runtime own(watched({.workers = 2}));
    std::atomic<int> holding = 0, ran = 0;
    std::atomic<bool> let_first_go = false, let_second_go = false;
    const auto hold = [&](std::atomic<bool>& let_go) {
      ++holding;
      while (!let_go) ::usleep(100);
    };
    auto first = own.spawn({.worker = 0}, [&] { hold(let_first_go); });
    auto second = own.spawn({.worker = 1}, [&] { hold(let_second_go); });
    while (holding != 2) std::this_thread::sleep_for(1ms);
    for (int i = 0; i < 20; ++i) own.post([&] { ++ran; });
    let_first_go = true;
    for (int i = 0; i < 5000 && ran != 20; ++i) std::this_thread::sleep_for(1ms);
    if (ran != 20) ::_exit(1);
    let_second_go = true;
  });
  CHECK(result.exit_code == 0);
}

TEST_CASE("a sentinel sleeps while all workers do, and wakes with them", "[sentinel][serial]") {
  zsync::runtime_options options;
  options.workers = 2;
  options.blocked_worker_threshold = 20ms;
  zsync::runtime own(options);
  own.block_on([] {});
  // It may take a while to notice that there is nothing to do, but not for ever.
  long before = 0, after = -1;
  for (int i = 0; i < 50 && after != before; ++i) {
    before = sleeps_of_sentinel();
    std::this_thread::sleep_for(200ms);
    after = sleeps_of_sentinel();
  }
  CHECK(before > 0);
  CHECK(after == before);
  own.block_on([] { hold_the_worker(15ms); });
  for (int i = 0; i < 5000 && sleeps_of_sentinel() == after; ++i) std::this_thread::sleep_for(1ms);
  CHECK(sleeps_of_sentinel() > after);
}
