// Who runs next, and that everybody does at some time.
#include <zsync/sched/runtime.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/loop.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};
constexpr test::axes policies_only{.workers = false, .backends = false, .policies = true};

zsync::runtime_options with_workers(zsync::runtime_options options, unsigned workers) {
  options.workers = workers;
  return options;
}

// Occupies the calling thread, as a program does that computes or calls something that blocks.
void occupy(std::chrono::nanoseconds time) {
  const auto until = zsync::clock::now() + time;
  while (zsync::clock::now() < until) {
  }
}

// Waits, on a plain thread, until `done` says so; false after ten seconds.
template <class F>
bool eventually(F done) {
  const auto until = zsync::clock::now() + 10s;
  while (!done()) {
    if (zsync::clock::now() > until) return false;
    std::this_thread::sleep_for(100us);
  }
  return true;
}

}  // namespace

TEST_CASE("fibers that only yield take turns", "[fairness]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    constexpr std::size_t fibers = 4;
    std::array<std::atomic<int>, fibers> turns{};
    std::atomic<bool> stop{false};
    std::vector<zsync::fiber<void>> all;
    for (std::size_t i = 0; i < fibers; ++i) {
      all.push_back(own.spawn([&, i] {
        while (!stop) {
          ++turns[i];
          this_fiber::yield();
        }
      }));
    }
    const bool all_ran =
        eventually([&] { return std::ranges::all_of(turns, [](const auto& n) { return n >= 1000; }); });
    stop = true;
    CHECK(all_ran);
  });
}

// Fibers that may be stolen, all on one worker: none keeps the others from running by yielding.
TEST_CASE("yielding fibers of one worker hand over to each other", "[fairness]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<int> turn{0};
    std::vector<zsync::fiber<bool>> all;
    for (int me = 0; me < 3; ++me) {
      all.push_back(own.spawn([&turn, me] {
        for (int i = 0; i < 200; ++i) {
          const auto until = zsync::clock::now() + 20s;
          while (turn % 3 != me) {
            if (zsync::clock::now() > until) return false;
            this_fiber::yield();
          }
          ++turn;
        }
        return true;
      }));
    }
    for (auto& one : all) CHECK(one.join());
  });
}

TEST_CASE("a fiber that yields lets all that are ready run once before it goes on", "[fairness][turns]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    own.block_on([] {
      constexpr int others = 50;
      std::vector<int> turns(others, 0);
      bool stop = false;
      std::vector<zsync::fiber<void>> all;
      for (std::size_t i = 0; i < others; ++i) {
        all.push_back(zsync::spawn([&turns, &stop, i] {
          while (!stop) {
            ++turns[i];
            this_fiber::yield();
          }
        }));
      }
      while (std::ranges::count(turns, 0) != 0) this_fiber::yield();  // until all have started
      int skipped = 0;
      for (int round = 0; round < 20; ++round) {
        const std::vector<int> before = turns;
        this_fiber::yield();
        for (std::size_t i = 0; i < others; ++i) skipped += turns[i] == before[i] ? 1 : 0;
      }
      stop = true;
      for (auto& one : all) one.join();
      CHECK(skipped == 0);
    });
  });
}

TEST_CASE("a fiber that spawns another and yields finds that it has run", "[fairness][turns]") {
  test::in_fiber({.workers = false, .policies = true}, [] {
    for (int i = 0; i < 40; ++i) {
      bool ran = false;
      zsync::fiber newborn([&] { ran = true; });
      this_fiber::yield();
      CHECK(ran);
      newborn.join();
    }
  });
}

TEST_CASE("woken fibers run in the order in which they were woken", "[fairness][turns]") {
  zsync::run(
      [] {
        std::vector<int> order;
        std::vector<zsync::waker> wakers(20);
        int waiting = 0;
        std::vector<zsync::fiber<void>> all;
        for (int i = 0; i < 20; ++i) {
          all.push_back(zsync::spawn([&, i] {
            wakers[static_cast<std::size_t>(i)] = this_fiber::get_waker();
            ++waiting;
            this_fiber::park();
            order.push_back(i);
          }));
        }
        while (waiting < 20) this_fiber::yield();
        for (const auto& one : wakers) one.wake();
        for (auto& one : all) one.join();
        CHECK(std::ranges::is_sorted(order));
        CHECK(order.size() == 20);
      },
      {.workers = 1});
}

TEST_CASE("newborns run youngest first", "[fairness][turns]") {
  zsync::run(
      [] {
        std::vector<int> order;
        std::vector<zsync::fiber<void>> all;
        for (int i = 0; i < 10; ++i) all.push_back(zsync::spawn([&order, i] { order.push_back(i); }));
        for (auto& one : all) one.join();
        REQUIRE(order.size() == 10);
        CHECK(order.front() == 9);
      },
      {.workers = 1});
}

TEST_CASE("who yields comes after those it has spawned, so that a backlog of them cannot grow",
          "[fairness][turns]") {
  for (const auto policy : {zsync::scheduling::pinned, zsync::scheduling::work_stealing}) {
    zsync::run(
        [] {
          int ran = 0;
          for (int round = 1; round <= 1000; ++round) {
            for (int i = 0; i < 10; ++i) zsync::spawn([&] { ++ran; }).detach();
            this_fiber::yield();
            REQUIRE(ran >= round * 10 - 100);
          }
          for (int i = 0; i < 20; ++i) this_fiber::yield();
          CHECK(ran == 10'000);
        },
        {.workers = 1, .policy = policy});
  }
}

// Youngest first alone would let the oldest wait for as long as there is a younger one.
TEST_CASE("the oldest newborn gets its turn though there is always a younger one", "[fairness][turns]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    own.block_on([] {
      bool old_ran = false;
      std::uint64_t births = 0;
      auto old = zsync::spawn([&] { old_ran = true; });
      struct family {
        static void beget(const bool& stop, std::uint64_t& count) {
          if (stop || ++count == 1'000'000) return;
          zsync::spawn(&family::beget, std::cref(stop), std::ref(count)).detach();
        }
      };
      zsync::spawn(&family::beget, std::cref(old_ran), std::ref(births)).detach();
      old.join();
      CHECK(births <= 2048);
      this_fiber::sleep_for(1ms);
    });
  });
}

// A turn in sixteen for the oldest began so many branches of a tree that 10,000 stacks were in use at once,
// where forty are enough. Here the stacks tell, whose number never shrinks.
TEST_CASE("a tree of fibers is walked down its branches, not across them", "[fairness]") {
  struct tree {
    static int leaves(int depth) {
      if (depth == 0) return 1;
      auto left = zsync::spawn(&leaves, depth - 1);
      auto right = zsync::spawn(&leaves, depth - 1);
      return left.join() + right.join();
    }
  };
  zsync::runtime own({.workers = 1});
  CHECK(own.block_on([] { return tree::leaves(15); }) == 1 << 15);
  CHECK(own.stats().stacks < 1000);
}

TEST_CASE("a newborn runs though others keep each other ready for ever", "[fairness]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> stop{false};
    std::vector<zsync::fiber<void>> busy;
    for (int i = 0; i < 3; ++i) {
      busy.push_back(own.spawn([&] {
        while (!stop) this_fiber::yield();
      }));
    }
    for (int i = 0; i < 100; ++i) {
      CHECK(own.spawn([] { return true; }).join_for(10s).value_or(false));
      CHECK(own.block_on([] { return zsync::spawn([] { return true; }).join_for(10s).value_or(false); }));
    }
    stop = true;
  });
}

TEST_CASE("timers and wakes from outside are heard though fibers keep each other ready", "[fairness]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> stop{false};
    std::vector<zsync::fiber<void>> busy;
    for (int i = 0; i < 3; ++i) {
      busy.push_back(own.spawn([&] {
        while (!stop) this_fiber::yield();
      }));
    }
    std::atomic<int> ticks{0};
    auto sleeper = own.spawn([&] {
      for (int i = 0; i < 50; ++i) {
        this_fiber::sleep_for(200us);
        ++ticks;
      }
    });
    CHECK(sleeper.join_for(10s));
    CHECK(ticks == 50);
    zsync::waker wake;
    std::atomic<bool> ready{false};
    auto parked = own.spawn([&] {
      wake = this_fiber::get_waker();
      ready = true;
      for (int i = 0; i < 50; ++i) this_fiber::park();
    });
    CHECK(eventually([&] { return ready.load(); }));
    while (!parked.join_for(100us)) wake.wake();
    stop = true;
  });
}

TEST_CASE("timers and wakes are heard though each turn takes a millisecond", "[fairness]") {
  test::matrix(policies_only, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> stop{false};
    std::vector<zsync::fiber<void>> busy;
    for (int i = 0; i < 2; ++i) {
      busy.push_back(own.spawn([&] {
        while (!stop) {
          occupy(1ms);
          this_fiber::yield();
        }
      }));
    }
    auto sleeper = own.spawn([&] {
      for (int i = 0; i < 5; ++i) this_fiber::sleep_for(1ms);
    });
    CHECK(sleeper.join_for(10s));
    stop = true;
  });
}

TEST_CASE("a worker that computes loses its newborns to the others", "[fairness]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(with_workers(options, std::max(2U, options.workers)));
    for (const int children : {1, 2, 100}) {
      INFO(children << " newborns");
      const bool all_ran = own.block_on([children] {
        std::atomic<int> ran{0};
        std::vector<zsync::fiber<void>> all;
        for (int i = 0; i < children; ++i) all.push_back(zsync::spawn([&] { ++ran; }));
        // No wait from here on: only another worker can run them.
        const auto until = zsync::clock::now() + 10s;
        while (ran < children && zsync::clock::now() < until) {
        }
        return ran == children;
      });
      CHECK(all_ran);
    }
  });
}

TEST_CASE("started fibers that may be stolen leave a blocked worker", "[fairness]") {
  zsync::runtime_options options;
  options.workers = 2;
  options.policy = zsync::scheduling::work_stealing;
  zsync::runtime own(options);
  const bool all_ran = own.block_on([] {
    std::atomic<int> started{0};
    std::atomic<int> ran{0};
    std::array<zsync::waker, 8> wakers;
    std::vector<zsync::fiber<void>> all;
    for (std::size_t i = 0; i < wakers.size(); ++i) {
      all.push_back(zsync::spawn([&, i] {
        wakers[i] = this_fiber::get_waker();
        ++started;
        this_fiber::park();
        ++ran;
      }));
    }
    while (started < 8) this_fiber::sleep_for(1ms);
    for (const auto& one : wakers) one.wake();
    this_fiber::yield();  // until here those of this worker could not be shared
    const auto until = zsync::clock::now() + 10s;
    while (ran < 8 && zsync::clock::now() < until) {
    }
    return ran == 8;
  });
  CHECK(all_ran);
}

TEST_CASE("work that is forked on one worker spreads to all", "[fairness]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    if (options.workers == 1) return;
    zsync::runtime own(options);
    const bool spread = own.block_on([&own] {
      // Others may have to wait for a processor before they can take any.
      const auto until = zsync::clock::now() + 20s;
      while (own.stats().newborns_stolen == 0 && zsync::clock::now() < until) {
        std::vector<zsync::fiber<void>> all;
        for (int i = 0; i < 200; ++i) all.push_back(zsync::spawn([] { occupy(200us); }));
        for (auto& one : all) one.join();
      }
      return own.stats().newborns_stolen > 0;
    });
    CHECK(spread);
  });
}

TEST_CASE("the figures of a runtime never claim more ends than births", "[runtime]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> stop{false};
    std::vector<zsync::fiber<void>> all;
    for (int i = 0; i < 2; ++i) {
      all.push_back(own.spawn([&] {
        while (!stop) {
          std::vector<zsync::fiber<void>> some;
          for (int k = 0; k < 50; ++k) some.push_back(zsync::spawn([] {}));
          for (auto& one : some) one.join();
        }
      }));
    }
    int nonsense = 0;
    for (int i = 0; i < 200'000; ++i) {
      if (own.stats().fibers_alive > (std::uint64_t{1} << 60)) ++nonsense;
    }
    stop = true;
    CHECK(nonsense == 0);
  });
}

namespace {

// Holds the worker, as a program does that computes or calls something that blocks, for ten seconds at most.
template <class F>
bool hold_worker_until(F done) {
  const auto until = zsync::clock::now() + 10s;
  while (!done()) {
    if (zsync::clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace

// Only the first of them is woken by the spawner, which does not ask for a second while that one is on its
// way.
TEST_CASE("a worker that steals wakes the next one, so that all newborns of a held worker run",
          "[fairness]") {
  constexpr int others = 3;
  zsync::runtime own({.workers = others + 1});
  own.block_on([] {
    for (int round = 0; round < 10; ++round) {
      this_fiber::sleep_for(5ms);  // for the others to be asleep
      std::atomic<int> running{0};
      std::atomic<bool> release{false};
      std::vector<zsync::fiber<bool>> newborns;
      for (int i = 0; i < others; ++i) {
        newborns.push_back(zsync::spawn([&] {
          ++running;
          return hold_worker_until([&] { return running == others || release; });
        }));
      }
      const bool all = hold_worker_until([&] { return running == others; });
      release = true;
      for (auto& one : newborns) CHECK(one.join());
      REQUIRE(all);
    }
  });
}

TEST_CASE("a worker that is woken to steal, and has work of its own by then, lets others be woken",
          "[fairness]") {
  zsync::runtime own({.workers = 3});
  own.spawn({.worker = 0},
            [] {
              for (int round = 0; round < 30; ++round) {
                this_fiber::sleep_for(3ms);  // for the others to be asleep
                std::atomic<int> ran{0};
                std::atomic<bool> busy{false};
                std::atomic<bool> release{false};
                std::vector<zsync::fiber<void>> newborns;
                const auto spawn_two = [&] {
                  for (int i = 0; i < 2; ++i) newborns.push_back(zsync::spawn([&] { ++ran; }));
                };
                spawn_two();  // for which the next worker is woken, and meanwhile gets this
                zsync::fiber its_own({.worker = 1}, [&] {
                  busy = true;
                  hold_worker_until([&] { return release.load(); });
                });
                const bool came = hold_worker_until([&] { return busy.load(); });
                spawn_two();
                const bool all_ran = hold_worker_until([&] { return ran == 4; });
                release = true;
                its_own.join();
                for (auto& one : newborns) one.join();
                REQUIRE(came);
                REQUIRE(all_ran);
              }
            })
      .join();
}

// A lone newborn is announced to nobody while another worker naps.
TEST_CASE("a lone newborn of a held worker that nobody was woken for is found all the same", "[fairness]") {
  zsync::runtime own({.workers = 2});
  own.spawn({.worker = 0},
            [] {
              for (int round = 0; round < 50; ++round) {
                this_fiber::sleep_for(3ms);  // for the other one to be asleep
                for (int i = 0; i < 2; ++i) {
                  std::atomic<bool> ran{false};
                  zsync::fiber one([&] { ran = true; });
                  REQUIRE(hold_worker_until([&] { return ran.load(); }));
                  one.join();
                }
              }
            })
      .join();
}

int forked(int n) {
  if (n < 2) return n;
  zsync::fiber<int> left([n] { return forked(n - 1); });
  const int right = forked(n - 2);
  return left.join() + right;
}

TEST_CASE("a tree of fibers that may move is walked to its leaves before it grows in breadth", "[fairness]") {
  zsync::runtime own({.workers = 1, .policy = zsync::scheduling::work_stealing});
  CHECK(own.block_on([] { return forked(18); }) == 2584);
  CHECK(own.stats().stacks < 200);  // of 4,180 fibers
}

// Whoever is woken for the newborn is woken by its waker as well, and computes.
TEST_CASE("a newborn from outside is not left to a worker that computes", "[fairness]") {
  zsync::runtime own({.workers = 2});
  for (int round = 0; round < 20; ++round) {
    zsync::waker its;
    std::atomic<bool> parks{false}, began{false};
    auto computes = own.spawn({.worker = 0}, [&] {
      its = this_fiber::get_waker();
      parks = true;
      this_fiber::park();
      return hold_worker_until([&] { return began.load(); });
    });
    while (!parks) std::this_thread::yield();
    std::this_thread::sleep_for(3ms);  // for both to be asleep
    auto newborn = own.spawn([&] { began = true; });
    its.wake();
    REQUIRE(computes.join());
    newborn.join();
  }
}

// In some rounds the newborn's turn comes while the one who will compute stands in the ready queue.
TEST_CASE("a newborn whose turn comes behind a fiber that computes is not lost to others", "[fairness]") {
  zsync::runtime own({.workers = 2});
  own.spawn({.worker = 0},
            [] {
              for (int round = 0; round < 64; ++round) {
                std::atomic<bool> release{false}, held{false}, began{false}, compute{false}, over{false};
                zsync::fiber other({.worker = 1}, [&] {
                  held = true;
                  hold_worker_until([&] { return release.load(); });
                });
                while (!held) this_fiber::yield();
                zsync::fiber computes({.worker = 0}, [&] {
                  while (!compute) this_fiber::yield();
                  release = true;
                  return hold_worker_until([&] { return began.load(); });
                });
                zsync::fiber third({.worker = 0}, [&] {
                  while (!over) this_fiber::yield();
                });
                for (int i = 0; i < 20 + round; ++i) this_fiber::yield();
                compute = true;
                zsync::fiber newborn([&] { began = true; });
                this_fiber::yield();
                newborn.join();
                REQUIRE(computes.join());
                over = true;
              }
            })
      .join();
}

TEST_CASE("fibers that are spawned in turn begin on one worker after the other, and stay there", "[spawn]") {
  test::matrix(test::axes{.workers = false, .policies = true}, [](zsync::runtime_options options) {
    options.workers = 3;
    zsync::run(
        [] {
          std::vector<zsync::fiber<std::thread::id>> all;
          for (int i = 0; i < 9; ++i) {
            all.emplace_back(zsync::spawn_options{.worker = zsync::spawn_options::in_turn}, [] {
              const auto began = std::this_thread::get_id();
              this_fiber::sleep_for(1ms);
              return began == std::this_thread::get_id() ? began : std::thread::id{};
            });
          }
          std::map<std::thread::id, int> begun;
          for (auto& each : all) ++begun[each.join()];
          CHECK(begun.size() == 3);
          for (const auto& [on, count] : begun) CHECK(count == 3);
        },
        options);
  });
}

TEST_CASE("calls that are due later do not take the turns of fibers that are spawned in turn", "[spawn]") {
  zsync::runtime own({.workers = 2});
  std::vector<zsync::timer> calls;
  std::map<std::thread::id, int> begun;
  for (int i = 0; i < 10; ++i) {
    calls.push_back(own.call_after(1h, [] {}));
    ++begun[own.spawn({.worker = zsync::spawn_options::in_turn}, [] { return std::this_thread::get_id(); })
                .join()];
  }
  CHECK(begun.size() == 2);
}
