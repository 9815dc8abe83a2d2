// A runtime within somebody else's loop.
#include <zsync/sched/loop.hpp>

#include "support/in_fiber.hpp"
#include "support/stopped_clock.hpp"

#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes no_workers{.workers = false, .policies = true};

bool readable(int fd, std::chrono::milliseconds within) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, static_cast<int>(within.count())) == 1;
}

}  // namespace

TEST_CASE("a loop runs nothing but when it is polled, and then what is ready once", "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    CHECK(own.poll() == 0);
    std::vector<int> turns(3, 0);
    const auto here = std::this_thread::get_id();
    bool elsewhere = false;
    for (std::size_t i = 0; i < 3; ++i) {
      own.post([&, i] {
        for (int k = 0; k < 3; ++k) {
          ++turns[i];
          elsewhere = elsewhere || std::this_thread::get_id() != here;
          this_fiber::yield();
        }
      });
    }
    CHECK(turns == std::vector<int>{0, 0, 0});
    CHECK(own.poll() == 3);
    CHECK(turns == std::vector<int>{1, 1, 1});
    CHECK(own.poll() == 3);
    CHECK(turns == std::vector<int>{2, 2, 2});
    CHECK(own.run_until_idle() > 0);
    CHECK(turns == std::vector<int>{3, 3, 3});
    CHECK(own.poll() == 0);
    CHECK(own.stats().fibers_alive == 0);
    CHECK_FALSE(elsewhere);
  });
}

TEST_CASE("what is spawned during a poll waits for the next one", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    int generation = 0;
    struct family {
      static void beget(int& count) {
        if (++count < 5) zsync::spawn(&family::beget, std::ref(count)).detach();
      }
    };
    own.post([&] { family::beget(generation); });
    for (int i = 1; i <= 5; ++i) {
      CHECK(own.poll() == 1);
      CHECK(generation == i);
    }
    CHECK(own.poll() == 0);
  });
}

TEST_CASE("run_until_idle does not wait for timers, and poll finds them when they are due", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    CHECK_FALSE(own.next_deadline().has_value());
    bool woke = false;
    own.post([&] {
      this_fiber::sleep_for(5ms);
      woke = true;
    });
    const auto before = zsync::clock::now();
    own.run_until_idle();
    CHECK_FALSE(woke);
    REQUIRE(own.next_deadline().has_value());
    CHECK(*own.next_deadline() >= before + 5ms);
    CHECK(*own.next_deadline() <= zsync::clock::now() + 5ms);
    while (zsync::clock::now() < *own.next_deadline()) {
      if (own.poll() != 0 && zsync::clock::now() < before + 5ms) FAIL("too early");
      if (!own.next_deadline()) break;
    }
    while (!woke) own.poll();
    CHECK(zsync::clock::now() >= before + 5ms);
    CHECK_FALSE(own.next_deadline().has_value());
  });
}

TEST_CASE("run_for keeps its budget to within one turn of a fiber", "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    test::stopped_clock time;
    zsync::loop own(options);
    bool stop = false;
    for (int i = 0; i < 20; ++i) {
      own.post([&] {
        while (!stop) {
          time.advance(300us);
          this_fiber::yield();
        }
      });
    }
    for (int i = 0; i < 30; ++i) {
      const auto before = zsync::clock::now();
      const std::size_t turns = own.run_for(2ms);
      CHECK(turns >= 1);
      CHECK(turns <= 7);  // who has two in a row is counted once
      CHECK(zsync::clock::now() - before == 2100us);
    }
    stop = true;
    own.run_until_idle();
    CHECK(own.stats().fibers_alive == 0);
  });
}

TEST_CASE("run_for keeps its budget though fibers spawn others without end", "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    test::stopped_clock time;
    zsync::loop own(options);
    bool stop = false;
    struct family {
      static void beget(const bool& over, test::stopped_clock& clock) {
        clock.advance(50us);
        if (!over) zsync::spawn(&family::beget, std::cref(over), std::ref(clock)).detach();
      }
    };
    own.post([&] { family::beget(stop, time); });
    for (int i = 0; i < 10; ++i) {
      const auto before = zsync::clock::now();
      own.run_for(2ms);
      CHECK(zsync::clock::now() - before == 2ms);
    }
    CHECK(own.run_for(0ms) == 0);
    stop = true;
    own.run_until_idle();
  });
}

TEST_CASE("run_for returns early when nothing is ready", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.post([] { this_fiber::sleep_for(1h); });
    const auto before = zsync::clock::now();
    CHECK(own.run_for(10s) >= 1);
    CHECK(zsync::clock::now() - before < 5s);
  });
}

TEST_CASE("run ends when no fiber is left", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.run();
    std::atomic<int> done{0};
    for (int i = 0; i < 10; ++i) {
      own.post([&] {
        this_fiber::sleep_for(1ms);
        ++done;
      });
    }
    own.run();
    CHECK(done == 10);
  });
}

TEST_CASE("stop ends run: from a fiber, from another thread, and before it began", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    own.post([] { this_fiber::park(); });
    own.post([&] { own.stop(); });
    own.run();
    std::thread other([&] {
      std::this_thread::sleep_for(2ms);
      own.stop();
    });
    own.run();
    other.join();
    own.stop();
    own.run();
    CHECK(own.stats().fibers_alive == 1);
  });
}

// It looked at the flag only between two fibers of which none was ready.
TEST_CASE("stop ends run though a fiber does nothing but yield", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    bool over = false;
    own.post([&] {
      while (!over) this_fiber::yield();
    });
    std::thread other([&] {
      std::this_thread::sleep_for(2ms);
      own.stop();
    });
    own.run();
    other.join();
    own.post([&] { own.stop(); });
    own.run();
    over = true;
    own.run();
    CHECK(own.stats().fibers_alive == 0);
  });
}

TEST_CASE("native_handle becomes readable when another thread has given it work", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    zsync::waker wake;
    int passes = 0;
    own.post([&] {
      wake = this_fiber::get_waker();
      for (;;) {
        this_fiber::park();
        ++passes;
      }
    });
    own.run_until_idle();
    own.poll();
    CHECK_FALSE(readable(own.native_handle(), 0ms));
    for (int i = 1; i <= 20; ++i) {
      std::thread other([&] {
        if (i % 2 == 0) wake.wake();
        if (i % 2 == 1) own.post([&] { wake.wake(); });
      });
      CHECK(readable(own.native_handle(), 10s));
      other.join();
      while (passes < i) own.poll();
    }
    own.run_until_idle();
    own.poll();
    CHECK_FALSE(readable(own.native_handle(), 0ms));
  });
}

TEST_CASE("a wake of the loop's own thread, between polls, makes it readable too", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    zsync::waker wake;
    int passes = 0;
    own.post([&] {
      wake = this_fiber::get_waker();
      for (;;) {
        this_fiber::park();
        ++passes;
      }
    });
    own.run_until_idle();
    wake.wake();
    CHECK(readable(own.native_handle(), 10s));
    CHECK(own.poll() == 1);
    CHECK(passes == 1);
    own.post([] {});
    CHECK(readable(own.native_handle(), 10s));
    own.run_until_idle();
    // Work that a poll has left over counts as well.
    own.post([] { this_fiber::yield(); });
    CHECK(own.poll() == 1);
    CHECK(readable(own.native_handle(), 10s));
    CHECK(own.poll() == 1);
  });
}

TEST_CASE("several loops on one thread, polled in turn and within one another", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop outer(options);
    zsync::loop inner(options);
    zsync::loop third(options);
    std::string order;
    inner.post([&] {
      order += 'b';
      this_fiber::yield();
      order += 'd';
    });
    third.post([&] { order += 'e'; });
    outer.post([&] {
      order += 'a';
      inner.poll();
      order += 'c';
      CHECK(this_fiber::inside());
      this_fiber::yield();
      inner.run_until_idle();
    });
    outer.poll();
    CHECK(order == "abc");
    outer.poll();
    CHECK(order == "abcd");
    third.run();
    CHECK(order == "abcde");
    CHECK_FALSE(this_fiber::inside());
  });
}

TEST_CASE("fibers of a loop and of a runtime with threads wake one another", "[loop]") {
  test::matrix([](const zsync::runtime_options& options) {
    zsync::runtime with_threads(options);
    zsync::loop own(options);
    constexpr int rounds = 500;
    std::atomic<int> ball{0};
    zsync::waker mine;
    zsync::waker theirs;
    std::atomic<bool> ready{false};
    own.post([&] { mine = this_fiber::get_waker(); });
    own.run_until_idle();
    std::atomic<bool> done{false};
    own.post([&] {
      mine = this_fiber::get_waker();
      auto other = with_threads.spawn([&] {
        theirs = this_fiber::get_waker();
        ready = true;
        for (int i = 0; i < rounds; ++i) {
          while (ball % 2 == 0) this_fiber::park();
          ++ball;
          mine.wake();
        }
      });
      while (!ready) this_fiber::yield();
      for (int i = 0; i < rounds; ++i) {
        ++ball;
        theirs.wake();
        while (ball % 2 != 0) this_fiber::park();
      }
      other.join();
      done = true;
    });
    own.run();
    CHECK(done);
    CHECK(ball == 2 * rounds);
  });
}

TEST_CASE("a loop that ends cancels its fibers and unwinds them, at every stage of their lives",
          "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    for (int polls = 0; polls < 8; ++polls) {
      int begun = 0;
      int ended = 0;
      {
        zsync::loop own(options);
        for (int i = 0; i < 5; ++i) {
          own.post([&] {
            ++begun;
            struct at_end {
              int& count;
              ~at_end() {
                this_fiber::yield();
                ++count;
              }
            } mark{ended};
            zsync::spawn([] { this_fiber::park(); }).detach();
            this_fiber::yield();
            this_fiber::sleep_for(1us);
            zsync::spawn([] { this_fiber::yield(); }).join();
            this_fiber::park();
          });
        }
        for (int i = 0; i < polls; ++i) own.poll();
      }
      CHECK(begun == 5);
      CHECK(ended == 5);
    }
  });
}

TEST_CASE("a loop's fibers may be spawned and woken by other threads while it runs", "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    zsync::loop own(options);
    std::atomic<int> ran{0};
    zsync::waker keeper;
    std::atomic<bool> over{false};
    own.post([&] {
      keeper = this_fiber::get_waker();
      while (!over) this_fiber::park();
    });
    own.run_until_idle();
    std::vector<std::thread> others;
    for (int t = 0; t < 2; ++t) {
      others.emplace_back([&] {
        for (int i = 0; i < 2000; ++i) own.post([&] { ++ran; });
      });
    }
    std::thread ender([&] {
      while (ran < 4000) std::this_thread::yield();
      over = true;
      keeper.wake();
    });
    own.run();
    for (auto& t : others) t.join();
    ender.join();
    CHECK(ran == 4000);
  });
}

TEST_CASE("what other threads ask for late in a poll makes the handle readable", "[loop]") {
  zsync::loop own;
  std::atomic<bool> called = false;
  own.post([&] {
    std::thread other([&] { own.call_after(0ms, [&] { called = true; }).detach(); });
    other.join();
  });
  own.poll();
  for (int i = 0; i < 10 && !called; ++i) {
    pollfd look{own.native_handle(), POLLIN, 0};
    if (!own.next_deadline()) REQUIRE(::poll(&look, 1, 5000) == 1);
    own.poll();
  }
  CHECK(called);
}

TEST_CASE("a loop is shut down by its own thread", "[loop]") {
  zsync::loop own;
  bool unwound = false;
  own.post([&] {
    struct note {
      bool& to;
      ~note() { to = true; }
    } at_end{unwound};
    zsync::this_fiber::sleep_for(1h);
  });
  own.poll();
  CHECK(own.shutdown(5s));
  CHECK(unwound);
}

TEST_CASE("what bounds a run_for is gone when it returns: a poll is one turn for each", "[loop][turns]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    test::stopped_clock time;
    zsync::loop own(options);
    int turns = 0;
    bool stop = false;
    for (int i = 0; i < 3; ++i) {
      own.post([&] {
        while (!stop && turns < 10'000) {
          ++turns;
          time.advance(300us);
          this_fiber::yield();
        }
      });
    }
    for (int i = 0; i < 10; ++i) {
      own.run_for(1ms);
      const int before = turns;
      CHECK(own.poll() == 3);
      CHECK(turns == before + 3);
    }
    stop = true;
    own.run_until_idle();
    CHECK(own.stats().fibers_alive == 0);
  });
}

TEST_CASE("a sleep until the very deadline of its scope has slept, and is not cut short", "[loop][scope]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    test::stopped_clock time;
    zsync::loop own(options);
    bool slept = false;
    auto sleeper = own.spawn([&] {
      const auto until = zsync::clock::now() + 2ms;
      const zsync::deadline_scope scope(until);
      this_fiber::sleep_until(until);
      slept = true;
    });
    own.run_until_idle();
    CHECK_FALSE(slept);
    time.advance(2ms);
    own.run_until_idle();
    CHECK(slept);
    CHECK_NOTHROW(sleeper.join());
  });
}

TEST_CASE("a loop may be made by one thread, driven by another and ended by the first, if nothing is left",
          "[loop]") {
  test::matrix(no_workers, [](const zsync::runtime_options& options) {
    int ran = 0;
    zsync::loop own(options);
    own.post([&] { ++ran; });
    std::thread([&] {
      own.run();
      own.poll();
    }).join();
    CHECK(ran == 1);
  });
}
