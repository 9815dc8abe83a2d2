#include "meeting.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/condition_variable_any.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/channel/timed_mutex.hpp>
#include <zsync/sched/scope.hpp>

#include <atomic>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <system_error>
#include <thread>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("notify_one wakes exactly one, the longest waiting", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    std::vector<int> order;  // m
    std::vector<fiber<>> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(spawn([&, i] {
        std::unique_lock lock(m);
        changed.wait(lock);
        order.push_back(i);
      }));
      let_others_wait();
    }
    for (std::size_t i = 1; i <= 4; ++i) {
      changed.notify_one();
      let_others_wait();
      const std::lock_guard guard(m);
      CHECK(order.size() == i);
    }
    for (auto& one : all) one.join();
    CHECK(order == std::vector{0, 1, 2, 3});
  });
}

TEST_CASE("notify_all wakes everyone who waits, and nobody who comes later", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    std::atomic<int> woken{0};
    std::vector<fiber<>> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(spawn([&] {
        std::unique_lock lock(m);
        changed.wait(lock);
        ++woken;
      }));
    }
    let_others_wait();
    changed.notify_all();
    for (auto& one : all) one.join();
    CHECK(woken == 6);
    std::unique_lock lock(m);
    CHECK(changed.wait_for(lock, 2ms) == cv_status::timeout);
    CHECK(lock.owns_lock());
  });
}

TEST_CASE("a notification between the release of the lock and the sleep is not lost",
          "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    int turn = 0;  // m
    const auto play = [&](int mine) {
      for (int i = 0; i < 2000; ++i) {
        std::unique_lock lock(m);
        changed.wait(lock, [&] { return turn == mine; });
        turn = 1 - mine;
        lock.unlock();
        changed.notify_one();
      }
    };
    auto ping = spawn(play, 0);
    auto pong = spawn(play, 1);
    ping.join();
    pong.join();
    CHECK(turn == 0);
  });
}

TEST_CASE("a notification is not stolen by one who gave up at the same time", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    int tokens = 0;  // m: each is announced by one notify_one
    std::atomic<int> taken{0};
    std::atomic<bool> stop{false};
    std::vector<fiber<>> all;
    for (std::uint64_t i = 0; i < 6; ++i) {
      all.push_back(spawn([&, i] {
        dice d(i);
        while (!stop) {
          std::unique_lock lock(m);
          if (changed.wait_for(lock, std::chrono::microseconds(d.roll(300)), [&] { return tokens > 0; })) {
            --tokens;
            ++taken;
          }
        }
      }));
    }
    for (int i = 0; i < 1000; ++i) {
      {
        const std::lock_guard guard(m);
        ++tokens;
      }
      changed.notify_one();
      if (i % 16 == 0) this_fiber::sleep_for(20us);
    }
    const auto until = clock::now() + 10s;
    while (taken < 1000 && clock::now() < until) this_fiber::sleep_for(100us);
    stop = true;
    for (auto& one : all) one.join();
    CHECK(taken == 1000);
  });
}

TEST_CASE("a cancelled wait holds the lock when it throws", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    std::atomic<bool> owned{false};
    auto waits = spawn([&] {
      std::unique_lock lock(m);
      try {
        changed.wait(lock);
      } catch (const cancelled&) {
        owned = lock.owns_lock() && !m.try_lock();
        throw;
      }
    });
    let_others_wait();
    m.lock();
    waits.cancel();
    let_others_wait();  // it is cancelled, and has to wait for the lock nevertheless
    CHECK_FALSE(owned);
    m.unlock();
    CHECK_THROWS_AS(waits.join(), cancelled);
    CHECK(owned);
    changed.notify_one();
  });
}

TEST_CASE("a wait that a deadline scope ends holds the lock when it throws", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    std::atomic<bool> owned{false};
    auto waits = spawn([&] {
      std::unique_lock lock(m);
      const deadline_scope scope(2ms);
      try {
        changed.wait(lock);
      } catch (const std::system_error&) {
        owned = lock.owns_lock() && !m.try_lock();
        throw;
      }
    });
    let_others_wait();
    m.lock();
    this_fiber::sleep_for(5ms);
    m.unlock();
    CHECK_THROWS_AS(waits.join(), std::system_error);
    CHECK(owned);

    condition_variable_any any;
    auto waits_any = spawn([&] {
      std::unique_lock lock(m);
      const deadline_scope scope(2ms);
      any.wait(lock);
    });
    let_others_wait();
    m.lock();
    this_fiber::sleep_for(5ms);
    m.unlock();
    CHECK_THROWS_AS(waits_any.join(), std::system_error);
  });
}

TEST_CASE("timed waits say whether the time passed or the predicate held", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    bool ready = false;
    std::unique_lock lock(m);
    const auto begin = clock::now();
    CHECK_FALSE(changed.wait_for(lock, 3ms, [&] { return ready; }));
    CHECK(clock::now() - begin >= 3ms);
    CHECK(changed.wait_until(lock, std::chrono::steady_clock::now() + 1ms) == cv_status::timeout);
    auto notifier = spawn([&] {
      const std::lock_guard guard(m);
      ready = true;
      changed.notify_all();
    });
    CHECK(changed.wait_for(lock, 10s, [&] { return ready; }));
    lock.unlock();
    notifier.join();
  });
}

TEST_CASE("notifications do not prolong a timed wait for a predicate", "[condition_variable]") {
  const auto gives_up_in_time = [](auto changed) {
    mutex m;
    std::atomic<bool> over{false};
    const auto begin = clock::now();
    auto notifier = spawn([&] {
      while (!over && clock::now() - begin < 8s) {
        this_fiber::sleep_for(500us);
        changed->notify_all();
      }
    });
    std::unique_lock lock(m);
    CHECK_FALSE(changed->wait_for(lock, 50ms, [] { return false; }));
    CHECK(clock::now() - begin < 6s);
    lock.unlock();
    over = true;
    notifier.join();
  };
  over_workers([&] {
    gives_up_in_time(std::make_unique<condition_variable>());
    gives_up_in_time(std::make_unique<condition_variable_any>());
  });
}

TEST_CASE("a predicate is asked once more when the time is over", "[condition_variable]") {
  over_workers([] {
    mutex m;
    condition_variable changed;
    condition_variable_any changed_any;
    std::unique_lock lock(m);
    // As if somebody had changed something, and not told us.
    int asked = 0;
    const auto ready_at_last = [&] { return ++asked == 2; };
    CHECK(changed.wait_for(lock, 1ms, ready_at_last));
    asked = 0;
    CHECK(changed_any.wait_for(lock, 1ms, ready_at_last));
  });
}

TEST_CASE("condition_variable_any works with any lock", "[condition_variable]") {
  over_workers([] {
    timed_mutex m;
    condition_variable_any changed;
    bool ready = false;
    auto notifier = spawn([&] {
      let_others_wait();
      const std::lock_guard guard(m);
      ready = true;
      changed.notify_one();
    });
    m.lock();
    changed.wait(m, [&] { return ready; });
    CHECK(ready);
    CHECK(changed.wait_for(m, 1ms) == cv_status::timeout);
    m.unlock();
    notifier.join();
  });
}

// Fails to be unlocked, and has done something before.
struct failing_lock {
  mutex& held;
  std::function<void()> before;

  void lock() { held.lock(); }
  void unlock() {
    before();
    throw std::runtime_error("not unlocked");
  }
};

TEST_CASE("a wait whose lock cannot be unlocked throws that, and leaves nothing behind",
          "[condition_variable]") {
  over_workers([] {
    condition_variable_any changed;
    mutex guard;
    std::unique_lock<mutex> not_locked(guard, std::defer_lock);
    CHECK_THROWS_AS(changed.wait(not_locked), std::system_error);

    // What is notified just then is for another who waits.
    std::atomic<bool> told{false};
    fiber other([&] {
      std::unique_lock lock(guard);
      changed.wait(lock);
      told = true;
    });
    let_others_wait();
    failing_lock nothing_happens{guard, [] {}};
    CHECK_THROWS_AS(changed.wait(nothing_happens), std::runtime_error);
    CHECK(!told);
    failing_lock notifies{guard, [&] { changed.notify_all(); }};
    CHECK_THROWS_AS(changed.wait(notifies), std::runtime_error);
    other.join();
    CHECK(told);

    std::unique_lock lock(guard);
    CHECK(changed.wait_for(lock, 1ms) == cv_status::timeout);
  });
}

TEST_CASE("a notification that a wait got which fails as it begins is passed on", "[condition_variable]") {
  over_workers([] {
    condition_variable_any changed;
    mutex guard;
    std::atomic<bool> may_wait{false};
    std::atomic<bool> holds{false};
    // A thread, because nobody may wait for a fiber while he unlocks.
    std::thread other([&] {
      while (!may_wait) std::this_thread::yield();
      std::unique_lock lock(guard);
      holds = true;
      changed.wait(lock);  // for ever, if the notification is kept
    });
    failing_lock notifies{guard, [&] {
                            may_wait = true;
                            while (!holds || !guard.try_lock()) std::this_thread::yield();
                            guard.unlock();  // the other stands in the queue now, behind us
                            changed.notify_one();
                          }};
    CHECK_THROWS_AS(changed.wait(notifies), std::runtime_error);
    other.join();
  });
}

// Tells when it is asked for, and whether it is held.
struct watched_lock {
  mutex& within;
  std::atomic<bool> asked_for{false};
  std::atomic<bool> held{false};

  void lock() {
    asked_for = true;
    within.lock();
    held = true;
  }
  void unlock() {
    asked_for = held = false;
    within.unlock();
  }
};

TEST_CASE("a wait for a condition takes any lock back, however late the lock is free for its deadline scope",
          "[condition_variable]") {
  over_workers([] {
    condition_variable_any changed;
    mutex within;
    watched_lock lock{within};
    std::atomic<bool> holds{false};
    std::atomic<bool> held_at_the_throw{false};
    fiber waits([&] {
      lock.lock();
      holds = true;
      let_others_wait();  // for the lock, which they have then as soon as the wait begins
      try {
        const deadline_scope scope(1ms);
        changed.wait(lock);
      } catch (const std::system_error&) {
        held_at_the_throw = lock.held.load();
      }
      if (lock.held) lock.unlock();
    });
    while (!holds) this_fiber::yield();
    within.lock();
    while (!lock.asked_for) this_fiber::yield();  // until the scope has ended the wait
    let_others_wait();
    within.unlock();
    waits.join();
    CHECK(held_at_the_throw);
  });
}

TEST_CASE("a deadline scope holds on after a wait for a condition with any lock", "[condition_variable]") {
  over_workers([] {
    condition_variable_any changed;
    timed_mutex guard;
    std::unique_lock lock(guard);
    const deadline_scope expired(0s);
    CHECK_THROWS_AS(changed.wait(lock), std::system_error);
    CHECK(lock.owns_lock());
    CHECK_THROWS_AS(this_fiber::sleep_for(1h), std::system_error);
  });
}

TEST_CASE("a plain thread's deadline scope holds on after a wait for a condition as well",
          "[condition_variable]") {
  condition_variable_any changed;
  mutex guard;
  std::unique_lock lock(guard);
  const deadline_scope expired(0s);
  CHECK_THROWS_AS(changed.wait(lock), std::system_error);
  binary_semaphore taken(0);
  CHECK_THROWS_AS(taken.try_acquire_for(2s), std::system_error);
}

// A lock whose locking is a cancellation point.
struct permit {
  binary_semaphore free{1};
  void lock() { free.acquire(); }
  void unlock() { free.release(); }
};

TEST_CASE("a cancelled wait takes any lock back, though locking it could be cancelled",
          "[condition_variable]") {
  over_workers([] {
    condition_variable_any changed;
    permit guard;
    fiber waits([&] {
      const std::lock_guard hold(guard);
      changed.wait(guard);
    });
    let_others_wait();
    guard.lock();
    waits.cancel();
    let_others_wait();  // for the lock, now
    guard.unlock();
    CHECK_THROWS_AS(waits.join(), cancelled);
    CHECK(guard.free.try_acquire());
  });
}

TEST_CASE("a condition variable may be destroyed once all were notified", "[condition_variable]") {
  over_workers([] {
    for (int round = 0; round < 50; ++round) {
      mutex m;
      auto changed = std::make_unique<condition_variable>();
      std::atomic<int> waiting{0};
      std::vector<fiber<>> all;
      for (int i = 0; i < 3; ++i) {
        all.push_back(spawn([&] {
          std::unique_lock lock(m);
          ++waiting;
          changed->wait(lock);
        }));
      }
      while (waiting != 3) this_fiber::yield();
      {
        const std::lock_guard guard(m);  // so all of them are in the queue
        changed->notify_all();
        changed.reset();
      }
      for (auto& one : all) one.join();
    }
  });
}

TEST_CASE("plain threads and fibers notify each other", "[condition_variable]") {
  mutex m;
  condition_variable changed;
  int turn = 0;
  const auto play = [&](int mine) {
    for (int i = 0; i < 300; ++i) {
      std::unique_lock lock(m);
      changed.wait(lock, [&] { return turn % 3 == mine; });
      ++turn;
      changed.notify_all();
    }
  };
  runtime one({.workers = 1});
  runtime two({.workers = 1});
  auto f1 = one.spawn(play, 0);
  auto f2 = two.spawn(play, 1);
  std::thread t(play, 2);
  f1.join();
  f2.join();
  t.join();
  CHECK(turn == 900);
}

// Of turns: libstdc++ knows who requests a stop by his thread, which fibers of one worker share, so that it
// looks at what another of them has written without an order that the build for races between fibers could
// see.
TEST_CASE("a stop ends a wait for a condition, and whatever the condition is then is the result",
          "[condition_variable][turns]") {
  over_workers([] {
    mutex m;
    condition_variable_any changed;
    std::stop_source stop;
    bool ready = false;
    const auto waits = [&] {
      std::unique_lock lock(m);
      const bool is_ready = changed.wait(lock, stop.get_token(), [&] { return ready; });
      CHECK(lock.owns_lock());
      return is_ready;
    };
    auto stopped = spawn(waits);
    auto stopped_too = spawn([&] {
      std::unique_lock lock(m);
      return changed.wait_for(lock, stop.get_token(), 1h, [&] { return ready; });
    });
    let_others_wait();
    stop.request_stop();
    CHECK_FALSE(stopped.join());
    CHECK_FALSE(stopped_too.join());
    CHECK_FALSE(waits());  // it was requested before
    ready = true;
    CHECK(waits());
  });
}

TEST_CASE("a stop that comes as a wait for a condition begins is not missed", "[condition_variable]") {
  over_workers([] {
    for (int i = 0; i < 100; ++i) {
      mutex m;
      condition_variable_any changed;
      std::stop_source stop;
      std::thread stops([&] { stop.request_stop(); });
      std::unique_lock lock(m);
      CHECK_FALSE(changed.wait(lock, stop.get_token(), [] { return false; }));
      stops.join();
    }
    // Between the last look and the queue.
    mutex m;
    condition_variable_any changed;
    std::stop_source stop;
    std::unique_lock lock(m);
    CHECK_FALSE(changed.wait(lock, stop.get_token(), [&] {
      stop.request_stop();
      return false;
    }));
  });
}

TEST_CASE("waiting for a condition without the lock ends the program", "[condition_variable]") {
  const child_result ended = run_in_child([] {
    run([] {
      this_fiber::set_name("culprit");
      mutex m;
      condition_variable changed;
      std::unique_lock lock(m, std::defer_lock);
      changed.wait(lock);
    });
  });
  CHECK(ended.signal == SIGABRT);
  CHECK(ended.err.find("culprit") != std::string::npos);
}

}  // namespace
