#include "sim/talk.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/worker.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <sstream>
#include <string>

namespace {

using namespace zsync;
using namespace zsync::test;
using namespace std::chrono_literals;

TEST_CASE("a server and its clients run, whatever the seed", "[sim]") {
  sim::explore({}, 200, [] {
    talk t;
    t();
    if (t.answered != t.clients) throw std::runtime_error("not all were answered");
  });
}

TEST_CASE("a seed is a run, to the last choice", "[sim]") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const auto once = [&] { return sim::run({.seed = seed}, [] { talk{}(); }); };
    const sim::report first = once();
    const sim::report second = once();
    CHECK(first.fingerprint == second.fingerprint);
    CHECK(first.steps == second.steps);
    CHECK(first.time == second.time);
    CHECK(first.schedule == second.schedule);
  }
  CHECK(sim::run({.seed = 1}, [] { talk{}(); }).fingerprint !=
        sim::run({.seed = 2}, [] { talk{}(); }).fingerprint);
}

TEST_CASE("time moves only when nothing can run, and costs nothing", "[sim]") {
  const auto real = std::chrono::steady_clock::now();
  const sim::report r = sim::run({}, [] {
    const auto before = zsync::clock::now();
    for (int i = 0; i < 100; ++i) this_fiber::yield();
    CHECK(zsync::clock::now() == before);
    this_fiber::sleep_for(1000h);
    CHECK(zsync::clock::now() - before == 1000h);
  });
  CHECK(r.time >= 1000h);
  CHECK(std::chrono::steady_clock::now() - real < 60s);
}

TEST_CASE("a trace tells each step, the same for the same seed", "[sim]") {
  const auto traced = [](std::uint64_t seed) {
    std::ostringstream lines;
    sim::run({.seed = seed, .trace = &lines}, [] {
      auto worker = spawn({.name = "sleeper"}, [] { this_fiber::sleep_for(3s); });
      const sim::host there = sim::add_host("there");
      tcp_listener listener;
      there.spawn([&] { listener = tcp_listener::bind({ip_address::any_v4(), 80}); }).join();
      auto stream = tcp_stream::connect("there", 80);
      worker.join();
    });
    return lines.str();
  };
  const std::string text = traced(1);
  CHECK(text.find("(sleeper) goes on") != std::string::npos);
  CHECK(text.find("network       10.0.0.1:") != std::string::npos);
  CHECK(text.find("a connection is asked for") != std::string::npos);
  CHECK(text.find("     3.0") != std::string::npos);
  CHECK(traced(1) == text);
  CHECK(traced(2) != text);
}

TEST_CASE("a run that aborts says its seed, and one that has ended does not", "[sim]") {
  const child_result during = run_in_child([] {
    sim::explore({.seed = 41}, 10, [] {
      if (sim::random(4) == 0) std::terminate();
    });
  });
  CHECK(during.signal == SIGABRT);
  const std::size_t at = during.err.find("aborts with seed ");
  REQUIRE(at != std::string::npos);
  const std::string seed = during.err.substr(at + 17, during.err.find(';', at) - at - 17);
  const child_result again = run_in_child([&] {
    sim::run({.seed = std::stoull(seed)}, [] {
      if (sim::random(4) == 0) std::terminate();
    });
  });
  CHECK(again.signal == SIGABRT);
  CHECK(again.err.find("seed " + seed) != std::string::npos);

  const child_result after = run_in_child([] {
    sim::run({}, [] {});
    std::abort();
  });
  CHECK(after.signal == SIGABRT);
  CHECK(after.err.find("seed") == std::string::npos);
}

TEST_CASE("what waits for nothing that will come is reported with what it waits for", "[sim]") {
  try {
    sim::run({.seed = 5}, [] {
      mutex a, b;
      event first_has_a, second_has_b;
      auto other = spawn([&] {
        const std::lock_guard hold(b);
        second_has_b.set();
        first_has_a.wait();
        const std::lock_guard never(a);
      });
      const std::lock_guard hold(a);
      first_has_a.set();
      second_has_b.wait();
      const std::lock_guard never(b);
    });
    FAIL("it has ended");
  } catch (const sim::failure& f) {
    CHECK(std::string(f.what()).find("seed 5") != std::string::npos);
    CHECK(std::string(f.what()).find("mutex") != std::string::npos);
    CHECK(f.of().seed == 5);
  }
}

TEST_CASE("what a program throws is thrown, and its fibers are unwound", "[sim]") {
  int unwound = 0;
  struct guard {
    int& count;
    ~guard() { ++count; }
  };
  const auto program = [&] {
    for (int i = 0; i < 3; ++i) {
      spawn([&] {
        const guard g{unwound};
        this_fiber::sleep_for(1h);
      }).detach();
    }
    this_fiber::sleep_for(1ms);
    throw std::logic_error("wrong");
  };
  CHECK_THROWS_AS(sim::run({}, program), std::logic_error);
  CHECK(unwound == 3);
}

TEST_CASE("a run without end is a failure", "[sim]") {
  const auto yields = [] {
    for (;;) this_fiber::yield();
  };
  const auto sleeps = [] {
    for (;;) this_fiber::sleep_for(1min);
  };
  CHECK_THROWS_AS(sim::run({.steps_max = 1000}, yields), sim::failure);
  CHECK_THROWS_AS(sim::run({.time_max = 1h}, sleeps), sim::failure);
}

// A lost update that only some schedules show: two fibers read, let others run, and write.
int lost_update() {
  int value = 0;
  const auto add = [&value] {
    const int seen = value;
    this_fiber::yield();
    value = seen + 1;
  };
  auto a = spawn(add);
  auto b = spawn(add);
  a.join();
  b.join();
  return value;
}

TEST_CASE("schedules differ, and one is repeated from its list", "[sim]") {
  int lost = 0;
  int kept = 0;
  sim::report losing;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    int value = 0;
    const sim::report r = sim::run({.seed = seed}, [&] { value = lost_update(); });
    (value == 1 ? lost : kept) += 1;
    if (value == 1) losing = r;
  }
  CHECK(lost > 0);
  CHECK(kept > 0);
  int value = 0;
  sim::run({.seed = losing.seed, .schedule = losing.schedule}, [&] { value = lost_update(); });
  CHECK(value == 1);
}

TEST_CASE("fibers that may move are moved between the workers of their host", "[sim]") {
  runtime_options stealing;
  stealing.policy = scheduling::work_stealing;
  bool moved = false;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::run({.seed = seed, .workers = 3, .runtime = stealing}, [&] {
      auto [tx, rx] = channel<int>(1);
      task_group g;
      int sum = 0;
      for (int i = 0; i < 5; ++i) {
        g.spawn([&, &sender = tx, i] {
          const auto* const before = detail::current_worker();
          sender.send(i);
          this_fiber::yield();
          if (detail::current_worker() != before) moved = true;
        });
      }
      for (int i = 0; i < 5; ++i) sum += rx.recv().value();
      g.wait();
      CHECK(sum == 10);
    });
  }
  CHECK(moved);
}

TEST_CASE("blocking() waits, and calls where it stands", "[sim]") {
  sim::run({}, [] {
    const auto before = zsync::clock::now();
    int turns = 0;
    auto other = spawn([&] { turns = 1; });
    CHECK(blocking([] { return 7; }) == 7);
    other.join();
    CHECK(turns == 1);
    CHECK(zsync::clock::now() - before <= 1ms);
  });
}

}  // namespace
