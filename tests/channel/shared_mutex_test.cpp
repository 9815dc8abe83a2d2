#include "meeting.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/shared_mutex.hpp>
#include <zsync/sched/scope.hpp>

#include <atomic>
#include <csignal>
#include <mutex>
#include <shared_mutex>
#include <system_error>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("readers share, a writer is alone", "[shared_mutex]") {
  over_workers([] {
    shared_mutex m;
    std::atomic<int> readers{0};
    std::atomic<int> inside{0};
    std::atomic<int> writers{0};
    std::atomic<bool> clash{false};
    std::int64_t value = 0;
    std::vector<fiber<>> all;
    for (std::uint64_t i = 0; i < 8; ++i) {
      all.push_back(spawn([&, i] {
        {
          const std::shared_lock guard(m);
          ++inside;
          while (inside < 8) this_fiber::yield();  // for ever, if they do not share
        }
        dice d(i);
        for (int k = 0; k < 200; ++k) {
          if (d.roll(4) == 0) {
            const std::unique_lock guard(m);
            if (++writers != 1 || readers != 0) clash = true;
            ++value;
            if (d.roll(4) == 0) this_fiber::yield();
            --writers;
          } else {
            const std::shared_lock guard(m);
            ++readers;
            if (writers != 0) clash = true;
            this_fiber::yield();
            --readers;
          }
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK_FALSE(clash);
    CHECK(value > 0);
  });
}

TEST_CASE("a reader that comes after a waiting writer waits behind it", "[shared_mutex]") {
  over_workers([] {
    shared_mutex m;
    std::vector<char> order;  // m
    m.lock_shared();
    auto writer = spawn([&] {
      const std::lock_guard guard(m);
      order.push_back('w');
    });
    while (m.try_lock_shared()) {  // until the writer waits
      m.unlock_shared();
      this_fiber::sleep_for(100us);
    }
    std::atomic<int> inside{0};
    std::vector<fiber<>> readers;
    for (int i = 0; i < 3; ++i) {
      readers.push_back(spawn([&] {
        const std::shared_lock guard(m);
        ++inside;
        while (inside < 3) this_fiber::yield();  // all three are let in together
      }));
    }
    let_others_wait();
    CHECK(inside == 0);
    m.unlock_shared();
    writer.join();
    for (auto& one : readers) one.join();
    CHECK(order.size() == 1);
  });
}

TEST_CASE("readers and writers that wait until some time give up then", "[shared_mutex]") {
  over_workers([] {
    shared_timed_mutex m;
    m.lock();
    auto reader = spawn([&] { return m.try_lock_shared_until(clock::now() + 2ms); });
    auto writer = spawn([&] { return m.try_lock_until(clock::now() + 2ms); });
    CHECK_FALSE(reader.join());
    CHECK_FALSE(writer.join());
    m.unlock();
    CHECK(m.try_lock());
    m.unlock();
  });
}

TEST_CASE("a writer that gives up lets in the readers behind it", "[shared_mutex]") {
  over_workers([] {
    shared_timed_mutex m;
    m.lock_shared();
    auto writer = spawn([&] { return m.try_lock_for(4ms); });
    let_others_wait();
    auto reader = spawn([&] {
      const bool in = m.try_lock_shared_for(10s);
      if (in) m.unlock_shared();
      return in;
    });
    CHECK_FALSE(writer.join());
    CHECK(reader.join());
    m.unlock_shared();
    CHECK(m.try_lock());
    auto late = spawn([&] { return m.try_lock_shared_for(1ms); });
    CHECK_FALSE(late.join());
    m.unlock();
  });
}

TEST_CASE("a deadline scope that ends a wait for a shared mutex throws, and nothing is held",
          "[shared_mutex]") {
  over_workers([] {
    shared_mutex m;
    const auto within_a_scope = [](auto take) {
      return spawn([take] {
        const deadline_scope scope(1ms);
        take();
      });
    };
    m.lock();
    CHECK_THROWS_AS(within_a_scope([&] { m.lock(); }).join(), std::system_error);
    CHECK_THROWS_AS(within_a_scope([&] { m.lock_shared(); }).join(), std::system_error);
    m.unlock();
    m.lock_shared();
    CHECK_THROWS_AS(within_a_scope([&] { m.lock(); }).join(), std::system_error);
    m.unlock_shared();
    CHECK(m.try_lock());
    m.unlock();
  });
}

TEST_CASE("readers get their turn among writers that come without end, and a writer among such readers",
          "[shared_mutex]") {
  over_workers([] {
    shared_mutex m;
    std::atomic<bool> stop{false};
    // Three of a kind, of which two always wait or hold it.
    const auto crowd = [&](auto make_guard) {
      std::vector<fiber<>> all;
      for (int i = 0; i < 3; ++i) {
        all.push_back(spawn([&stop, make_guard] {
          while (!stop) {
            const auto guard = make_guard();
            this_fiber::yield();
          }
        }));
      }
      return all;
    };
    const auto shared = [&m] { return std::shared_lock(m); };
    const auto alone = [&m] { return std::unique_lock(m); };
    const auto passes_through = [&](auto make_guard) {
      for (int i = 0; i < 20; ++i) {
        const auto guard = make_guard();
        this_fiber::yield();
      }
    };
    auto writers = crowd(alone);
    let_others_wait();
    passes_through(shared);  // for ever, if they are passed over
    stop = true;
    for (auto& one : writers) one.join();
    stop = false;
    auto readers = crowd(shared);
    let_others_wait();
    passes_through(alone);
    stop = true;
    for (auto& one : readers) one.join();
  });
}

TEST_CASE("misuse of a shared mutex ends the program", "[shared_mutex]") {
  const auto ends = [](auto body) {
    const child_result ended = run_in_child([&] { run([&] { body(); }); });
    return ended.signal == SIGABRT;
  };
  CHECK(ends([] { shared_mutex().unlock(); }));
  CHECK(ends([] { shared_mutex().unlock_shared(); }));
  CHECK(ends([] {
    shared_mutex m;
    m.lock_shared();
  }));
}

}  // namespace
