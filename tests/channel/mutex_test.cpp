#include "meeting.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/mutex.hpp>
#include <zsync/channel/recursive_mutex.hpp>
#include <zsync/channel/timed_mutex.hpp>
#include <zsync/sched/scope.hpp>

#include <atomic>
#include <csignal>
#include <memory>
#include <mutex>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a mutex lets one in at a time", "[mutex]") {
  over_workers([] {
    mutex m;
    int inside = 0;
    bool alone = true;
    std::int64_t count = 0;
    std::vector<fiber<>> all;
    for (int i = 0; i < 8; ++i) {
      all.push_back(spawn([&] {
        for (int k = 0; k < 500; ++k) {
          const std::lock_guard guard(m);
          alone = alone && ++inside == 1;
          if (k % 7 == 0) this_fiber::yield();
          ++count;
          --inside;
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(alone);
    CHECK(count == 8 * 500);
  });
}

TEST_CASE("unlock gives the mutex to the oldest waiter", "[mutex]") {
  over_workers([] {
    mutex m;
    std::vector<int> order;  // m
    m.lock();
    std::vector<fiber<>> all;
    for (int i = 0; i < 5; ++i) {
      all.push_back(spawn([&, i] {
        const std::lock_guard guard(m);
        order.push_back(i);
      }));
      let_others_wait();
    }
    m.unlock();
    m.lock();  // behind the others
    CHECK(order == std::vector{0, 1, 2, 3, 4});
    m.unlock();
    for (auto& one : all) one.join();
  });
}

TEST_CASE("try_lock neither waits nor yields", "[mutex]") {
  run(
      [] {
        mutex m;
        std::atomic<bool> ran = false;
        auto other = spawn([&] { ran = true; });
        CHECK(m.try_lock());
        CHECK_FALSE(m.try_lock());
        CHECK_FALSE(ran);
        m.unlock();
        CHECK(m.try_lock());
        m.unlock();
        CHECK_FALSE(ran);
        other.join();
      },
      {.workers = 1});
}

TEST_CASE("locking is not a cancellation point", "[mutex]") {
  over_workers([] {
    mutex m;
    m.lock();
    std::atomic<bool> had_it{false};
    auto waits = spawn([&] {
      m.lock();
      had_it = true;
      m.unlock();
      this_fiber::cancellation_point();
    });
    let_others_wait();
    waits.cancel();
    let_others_wait();
    CHECK_FALSE(had_it);
    m.unlock();
    CHECK_THROWS_AS(waits.join(), cancelled);
    CHECK(had_it);
  });
}

TEST_CASE("a deadline scope ends the wait for a mutex", "[mutex]") {
  over_workers([] {
    mutex m;
    m.lock();
    auto waits = spawn([&] {
      const deadline_scope scope(2ms);
      m.lock();
    });
    CHECK_THROWS_AS(waits.join(), std::system_error);
    m.unlock();
    CHECK(m.try_lock());
    m.unlock();
  });
}

TEST_CASE("a timed mutex gives up in time, and the next in line gets it", "[mutex]") {
  over_workers([] {
    timed_mutex m;
    m.lock();
    auto gives_up = spawn([&] { return m.try_lock_for(3ms); });
    let_others_wait();
    auto stays = spawn([&] {
      const bool locked = m.try_lock_until(std::chrono::steady_clock::now() + 10s);
      if (locked) m.unlock();
      return locked;
    });
    CHECK_FALSE(gives_up.join());
    m.unlock();
    CHECK(stays.join());
    CHECK(m.try_lock_for(0ms));
    auto too_late = spawn([&] { return m.try_lock_until(clock::now() - 1s); });
    CHECK_FALSE(too_late.join());
    m.unlock();
  });
}

TEST_CASE("those who give up do not take a place in the queue with them", "[mutex]") {
  over_workers([] {
    timed_mutex m;
    std::int64_t count = 0;
    std::atomic<int> gave_up{0};
    std::vector<fiber<>> all;
    for (std::uint64_t i = 0; i < 8; ++i) {
      all.push_back(spawn([&, i] {
        dice d(i);
        for (int k = 0; k < 200; ++k) {
          if (!m.try_lock_for(std::chrono::microseconds(d.roll(200)))) {
            ++gave_up;
            continue;
          }
          ++count;
          if (d.roll(8) == 0) this_fiber::sleep_for(50us);
          m.unlock();
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(count + gave_up == 8 * 200);
    CHECK(m.try_lock());
    m.unlock();
  });
}

TEST_CASE("the owner of a recursive mutex is a fiber, not its thread", "[mutex]") {
  over_workers([] {
    recursive_mutex m;
    m.lock();
    m.lock();
    CHECK(m.try_lock());
    std::atomic<bool> had_it{false};
    auto other = spawn([&] {
      if (m.try_lock()) return false;
      m.lock();
      had_it = true;
      m.unlock();
      return true;
    });
    let_others_wait();
    for (int i = 0; i < 3; ++i) {
      CHECK_FALSE(had_it);
      m.unlock();
    }
    CHECK(other.join());

    recursive_timed_mutex timed;
    CHECK(timed.try_lock_for(1ms));
    CHECK(timed.try_lock_for(1ms));
    auto late = spawn([&] { return timed.try_lock_for(1ms); });
    CHECK_FALSE(late.join());
    timed.unlock();
    timed.unlock();
  });
}

TEST_CASE("a recursive mutex that was waited for in time is free after as many unlocks as locks", "[mutex]") {
  over_workers([] {
    recursive_timed_mutex m;
    m.lock();
    auto gives_up = spawn([&] { return m.try_lock_until(clock::now() + 2ms); });
    CHECK_FALSE(gives_up.join());
    auto waits = spawn([&] {
      if (!m.try_lock_for(10s)) return false;
      m.lock();
      m.unlock();
      m.unlock();
      return true;
    });
    let_others_wait();
    m.unlock();
    CHECK(waits.join());
    CHECK(m.try_lock());
    m.unlock();
  });
}

TEST_CASE("std::scoped_lock takes several mutexes without deadlock", "[mutex]") {
  over_workers([] {
    mutex a;
    timed_mutex b;
    recursive_mutex c;
    int count = 0;
    std::vector<fiber<>> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(spawn([&, i] {
        for (int k = 0; k < 100; ++k) {
          if (i % 2 == 0) {
            const std::scoped_lock guard(a, b, c);
            ++count;
          } else {
            const std::scoped_lock guard(c, b, a);
            ++count;
          }
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(count == 400);
  });
}

TEST_CASE("a mutex may be destroyed by whoever it was given to last", "[mutex]") {
  for (int round = 0; round < 200; ++round) {
    runtime one({.workers = 1});
    auto m = std::make_unique<mutex>();
    m->lock();
    auto last = one.spawn([&m] {
      m->lock();
      m->unlock();
      m.reset();  // the one who unlocked may still be on the way out
    });
    if (round % 2 == 0) std::this_thread::sleep_for(100us);
    m->unlock();
    last.join();
  }
}

TEST_CASE("fibers of two runtimes and plain threads exclude each other", "[mutex]") {
  mutex m;
  std::int64_t count = 0;
  runtime one({.workers = 1});
  runtime two({.workers = 2});
  const auto work = [&] {
    for (int i = 0; i < 2000; ++i) {
      const std::lock_guard guard(m);
      ++count;
    }
  };
  auto f1 = one.spawn(work);
  auto f2 = two.spawn(work);
  auto f3 = two.spawn(work);
  std::thread t(work);
  work();
  t.join();
  f1.join();
  f2.join();
  f3.join();
  CHECK(count == 10'000);
}

TEST_CASE("misuse of a mutex ends the program with a message that names the fiber", "[mutex]") {
  const auto message_of = [](auto body) {
    const child_result ended = run_in_child([&] {
      run([&] {
        this_fiber::set_name("culprit");
        body();
      });
    });
    CHECK(ended.signal == SIGABRT);
    CHECK(ended.err.find("culprit") != std::string::npos);
    return ended.err;
  };
  CHECK(message_of([] { mutex().unlock(); }).find("does not hold") != std::string::npos);
  CHECK(message_of([] {
          mutex m;
          m.lock();
        }).find("destroyed") != std::string::npos);
  CHECK(message_of([] {
          mutex m;
          m.lock();
          m.lock();
        }).find("again") != std::string::npos);
  CHECK(message_of([] {
          mutex m;
          std::thread([&] { m.lock(); }).join();
          m.unlock();
        }).find("does not hold") != std::string::npos);
  CHECK(message_of([] { recursive_mutex().unlock(); }).find("does not hold") != std::string::npos);
}

}  // namespace
