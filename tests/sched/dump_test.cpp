#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>
#include <vector>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr test::axes workers_and_policies{.backends = false, .policies = true};

template <class Executor>
std::string dump_of(const Executor& of) {
  std::ostringstream text;
  of.dump(text);
  return text.str();
}

// What the dump says of one fiber, up to the next.
std::string part_of(const std::string& dump, const std::string& name) {
  const auto begin = dump.find(" '" + name + "': ");
  if (begin == std::string::npos) return {};
  const auto end = std::min(dump.find("\n  fiber ", begin), dump.find("\nworker ", begin));
  return dump.substr(begin, end == std::string::npos ? end : end - begin);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

void wait_until_parked(const std::atomic<int>& begun, int all) {
  while (begun.load() != all) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(5ms);
}

// Once it tells of so many waits; the last one if that never comes.
template <class Runtime>
std::string dump_with_waits(Runtime& of, std::size_t waits) {
  std::string text = dump_of(of);
  for (int i = 0; i < 5000 && count(text, "': waiting, ") < waits; ++i) {
    std::this_thread::sleep_for(1ms);
    text = dump_of(of);
  }
  return text;
}

}  // namespace

TEST_CASE("a dump says of each fiber what it waits for, since when and until when", "[dump]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<int> begun = 0;
    auto parked = own.spawn({.name = "parked"}, [&] {
      ++begun;
      zsync::this_fiber::park();
    });
    auto asleep = own.spawn({.name = "asleep"}, [&] {
      ++begun;
      zsync::this_fiber::sleep_for(1h);
    });
    auto joins = own.spawn({.name = "joins"}, [&] {
      ++begun;
      parked.join();
    });
    wait_until_parked(begun, 3);
    const std::string text = dump_with_waits(own, 3);
    INFO(text);
    CHECK_THAT(text, Contains("runtime 'zsync': " + std::to_string(options.workers) + " workers, "));
    CHECK(count(text, "\n  fiber ") == 3);
    CHECK(count(text, "spawned at ") == 3);
    CHECK_THAT(part_of(text, "parked"), Contains("waiting, park, for "));
    CHECK_THAT(part_of(text, "asleep"), Contains("waiting, sleep, for "));
    CHECK_THAT(part_of(text, "asleep"), Contains("until in 35"));
    CHECK_THAT(part_of(text, "joins"), Contains("waiting, join 0x"));
    // Its own stack, from the wait down to the entry of every fiber.
    CHECK(count(part_of(text, "parked"), "\n      ") >= 4);
    joins.cancel();
    CHECK_THROWS_AS(joins.join(), zsync::cancelled);
  });
}

TEST_CASE("a fiber may ask for the dump and is in it", "[dump]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    const std::string text = own.spawn({.name = "asks"}, [&] { return dump_of(own); }).join();
    INFO(text);
    CHECK_THAT(part_of(text, "asks"), Contains("running"));
  });
}

TEST_CASE("a fiber that has ended is in no dump, though its worker rests on its stack", "[dump]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    own.spawn([] { zsync::this_fiber::sleep_for(1ms); }).join();
    const std::string text = dump_of(own);
    INFO(text);
    CHECK(count(text, "\n  fiber ") == 0);
  });
}

TEST_CASE("a worker that does not answer is told with what it runs", "[dump][serial]") {
  zsync::runtime_options options;
  options.workers = 2;
  zsync::runtime own(options);
  std::atomic<int> begun = 0;
  std::atomic<bool> enough = false;
  // Blocked in a call, because a thread that computes takes signals late under ThreadSanitizer.
  auto holds = own.spawn({.name = "holds", .worker = 1}, [&] {
    ++begun;
    while (!enough) ::usleep(1000);
  });
  auto parked = own.spawn({.name = "parked", .worker = 0}, [&] {
    ++begun;
    zsync::this_fiber::park();
  });
  wait_until_parked(begun, 2);
  const std::string text = dump_of(own);
  enough = true;
  INFO(text);
  CHECK_THAT(part_of(text, "parked"), Contains("waiting, park"));
  CHECK_THAT(text, Contains("worker 1 is running fiber "));
  CHECK_THAT(text, Contains("'holds' and did not answer"));
  CHECK_THAT(text, Contains("usleep"));
}

TEST_CASE("dumps are taken while everything runs", "[dump][serial]") {
  test::matrix(workers_and_policies, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> enough = false;
    std::atomic<int> begun = 0;
    std::vector<zsync::fiber<>> busy;
    for (int i = 0; i < 20; ++i) {
      busy.push_back(own.spawn({.name = "busy"}, [&] {
        ++begun;
        while (!enough) {
          zsync::spawn([] { zsync::this_fiber::sleep_for(10us); }).join();
          zsync::this_fiber::set_name("busy, and renamed");
          zsync::this_fiber::yield();
        }
      }));
    }
    wait_until_parked(begun, 20);
    // Two who ask at once, one of them a fiber.
    auto fiber = own.spawn([&] {
      for (int i = 0; i < 20; ++i) CHECK_FALSE(dump_of(own).empty());
    });
    // A worker whose thread is kept waiting for a processor may be late for some, but not for all.
    std::string answered;
    for (int i = 0; i < 20; ++i) {
      const std::string text = dump_of(own);
      if (count(text, "did not answer") == 0) answered = text;
    }
    fiber.join();
    enough = true;
    for (auto& f : busy) f.join();
    INFO(answered);
    CHECK(count(answered, "worker ") >= own.options().workers);
    // Those that go to a worker that has answered already, from one that has not, are in neither list.
    const bool stay = options.workers == 1 || options.policy == zsync::scheduling::pinned;
    CHECK(count(answered, "\n  fiber ") >= (stay ? 20 : 1));
  });
}

TEST_CASE("a loop is dumped whether it is driven or not", "[dump]") {
  zsync::loop own;
  auto parked = own.spawn({.name = "parked"}, [] { zsync::this_fiber::park(); });
  CHECK_THAT(dump_of(own), Contains("1 newborn"));
  own.run_until_idle();
  CHECK_THAT(part_of(dump_of(own), "parked"), Contains("waiting, park"));
  std::string from_another;
  std::thread([&] { from_another = dump_of(own); }).join();
  CHECK_THAT(part_of(from_another, "parked"), Contains("waiting, park"));
  std::thread asks([&] {
    from_another = dump_of(own);
    own.stop();
  });
  own.run();
  asks.join();
  CHECK_THAT(part_of(from_another, "parked"), Contains("waiting, park"));
  parked.cancel();
  own.run_until_idle();
}

TEST_CASE("a shutdown that fails lists who remains", "[dump]") {
  const auto result = test::run_in_child([] {
    zsync::runtime own;
    std::atomic<bool> enough = false;
    auto stays = own.spawn({.name = "stays"}, [&] {
      const zsync::cancellation_shield shield;
      while (!enough) zsync::this_fiber::sleep_for(1ms);
    });
    if (own.shutdown(50ms)) std::abort();
    enough = true;
    stays.join();
    if (!own.shutdown(10s)) std::abort();
  });
  CHECK(result.exit_code == 0);
  INFO(result.err);
  CHECK_THAT(result.err, Contains("zsync: fibers remain after a shutdown"));
  CHECK_THAT(part_of(result.err, "stays"), Contains("cancellation requested"));
}

TEST_CASE("a runtime whose fibers outlast its grace time ends the process with a list of them", "[dump]") {
  zsync::runtime_options options;
  options.shutdown_grace = 50ms;
  const auto stay = [] {
    const zsync::cancellation_shield shield;
    zsync::this_fiber::sleep_for(1h);
  };
  const auto of_runtime = test::run_in_child([&] {
    zsync::runtime own(options);
    own.spawn({.name = "stays"}, stay).detach();
    own.block_on([] { zsync::this_fiber::sleep_for(5ms); });
  });
  const auto of_run = test::run_in_child([&] {
    zsync::run([&] { zsync::spawn({.name = "stays"}, stay).detach(), zsync::this_fiber::sleep_for(5ms); },
               options);
  });
  const auto of_loop = test::run_in_child([&] {
    zsync::loop own(options);
    own.spawn({.name = "stays"}, stay).detach();
    own.poll();
  });
  for (const auto& result : {of_runtime, of_run, of_loop}) {
    CHECK(result.signal == SIGABRT);
    INFO(result.err);
    CHECK_THAT(result.err, Contains("a runtime ends, and fibers do not within its grace time"));
    CHECK_THAT(part_of(result.err, "stays"), Contains("waiting, sleep"));
  }
}
