#include <zsync/sched/this_fiber.hpp>

#include "support/in_fiber.hpp"

#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include <sys/time.h>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

// A fiber that parks until told to stop; what happens meanwhile is counted.
struct parked {
  std::atomic<bool> ready{false};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> woken{0};
  zsync::waker wake;
  zsync::fiber<void> fiber;

  template <class Where>
  void start(Where& where) {
    fiber = where.spawn([this] {
      wake = this_fiber::get_waker();
      ready = true;
      while (!stop) {
        this_fiber::park();
        ++woken;
      }
    });
    while (!ready) std::this_thread::yield();
  }
};

}  // namespace

TEST_CASE("a wake that comes before the park ends it at once, and any number count as one", "[park]") {
  test::in_fiber(everything, [] {
    const auto self = this_fiber::get_waker();
    self.wake();
    self.wake();
    self.wake();
    this_fiber::park();
    CHECK_FALSE(this_fiber::park_for(2ms));
    self.wake();
    CHECK(this_fiber::park_for(0ms));
  });
}

TEST_CASE("a wake stays while its fiber sleeps, joins or yields, and does not disturb that", "[park]") {
  test::in_fiber(everything, [] {
    const auto self = this_fiber::get_waker();
    self.wake();
    const auto before = zsync::clock::now();
    this_fiber::sleep_for(3ms);
    CHECK(zsync::clock::now() - before >= 3ms);
    this_fiber::yield();
    zsync::spawn([] {}).join();
    CHECK(this_fiber::park_for(10s));
    CHECK_FALSE(this_fiber::park_for(1ms));
  });
}

// Of a second wake that comes after the first one ended the park, and before the fiber runs again, the fiber
// may have missed what it announced: it has to stay for the next park.
TEST_CASE("a second wake before the woken fiber runs is not swallowed", "[park]") {
  zsync::loop own;
  int passes = 0;
  std::optional<zsync::waker> wake;
  own.post([&] {
    wake = this_fiber::get_waker();
    this_fiber::park();
    ++passes;
    this_fiber::park();
    ++passes;
  });
  own.run_until_idle();
  REQUIRE(wake.has_value());
  wake->wake();
  wake->wake();
  own.run_until_idle();
  CHECK(passes == 2);
}

TEST_CASE("park_until returns false at its deadline, never before", "[park]") {
  test::in_fiber(everything, [] {
    for (int i = 0; i < 20; ++i) {
      const auto until = zsync::clock::now() + std::chrono::microseconds(i * 50);
      CHECK_FALSE(this_fiber::park_until(until));
      CHECK(zsync::clock::now() >= until);
    }
    CHECK_FALSE(this_fiber::park_until(zsync::clock::now() - 1s));
    CHECK_FALSE(this_fiber::park_until(zsync::clock::time_point::min()));
    CHECK_FALSE(this_fiber::park_until(std::chrono::system_clock::now() + 1ms));
  });
}

TEST_CASE("parking and wakers are for fibers only", "[park]") {
  CHECK_THROWS_AS(this_fiber::park(), std::system_error);
  CHECK_THROWS_AS(this_fiber::park_for(1ms), std::system_error);
  CHECK_THROWS_AS(this_fiber::get_waker(), std::system_error);
}

TEST_CASE("an empty waker wakes nobody", "[park]") {
  const zsync::waker none;
  none.wake();
  none.wake_from_signal();
  zsync::waker copy = none;
  copy = zsync::waker{};
  copy.wake();
}

TEST_CASE("a waker may be used after its fiber has ended, and after its runtime", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    std::vector<zsync::waker> wakers;
    {
      zsync::runtime own(options);
      for (int i = 0; i < 50; ++i) wakers.push_back(own.block_on([] { return this_fiber::get_waker(); }));
      for (const auto& one : wakers) one.wake();
      own.block_on([&] {
        for (const auto& one : wakers) one.wake();
      });
    }
    for (const auto& one : wakers) {
      one.wake();
      one.wake_from_signal();
    }
    auto copies = wakers;
    wakers.clear();
    for (const auto& one : copies) one.wake();
  });
}

TEST_CASE("wakers that race with the end of their fiber and its runtime do no harm", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    for (int round = 0; round < 50; ++round) {
      auto own = std::make_unique<zsync::runtime>(options);
      parked one;
      one.start(*own);
      std::atomic<bool> stop{false};
      std::vector<std::thread> wakers;
      for (int i = 0; i < 2; ++i) {
        wakers.emplace_back([&stop, wake = one.wake] {
          while (!stop) wake.wake();
        });
      }
      if (round % 2 == 0) {
        one.stop = true;
        one.fiber.join();
        own.reset();
      } else {
        one.fiber.detach();
        own.reset();
      }
      stop = true;
      for (auto& t : wakers) t.join();
    }
  });
}

TEST_CASE("no wake is lost between a fiber and a plain thread", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    constexpr int rounds = 2'000;
    zsync::runtime own(options);
    std::atomic<int> ball{0};  // odd: the fiber's turn
    std::atomic<bool> ready{false};
    zsync::waker wake;
    auto player = own.spawn([&] {
      wake = this_fiber::get_waker();
      ready = true;
      for (int i = 0; i < rounds; ++i) {
        while (ball % 2 == 0) this_fiber::park();
        ++ball;
      }
    });
    while (!ready) std::this_thread::yield();
    for (int i = 0; i < rounds; ++i) {
      ++ball;
      wake.wake();
      while (ball % 2 != 0) std::this_thread::yield();
    }
    player.join();
    CHECK(ball == 2 * rounds);
  });
}

TEST_CASE("no wake is lost between fibers, of one worker or of two", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    constexpr std::uint64_t rounds = 5'000;
    zsync::runtime own(options);
    std::atomic<std::uint64_t> ball{0};
    std::array<zsync::waker, 2> wakers;
    std::array<std::atomic<bool>, 2> ready{};
    std::vector<zsync::fiber<void>> players;
    for (std::size_t me = 0; me < 2; ++me) {
      const int place = static_cast<int>(me % options.workers);
      players.push_back(own.spawn({.worker = place}, [&, me] {
        wakers[me] = this_fiber::get_waker();
        ready[me] = true;
        while (!ready[1 - me]) this_fiber::sleep_for(100us);
        for (std::uint64_t i = 0; i < rounds; ++i) {
          while (ball % 2 != me) this_fiber::park();
          ++ball;
          wakers[1 - me].wake();
        }
      }));
    }
    for (auto& one : players) one.join();
    CHECK(ball == 2 * rounds);
  });
}

// The cause of the wait before is what a fiber would find that runs before the cause of its wake is written.
TEST_CASE("who is woken from outside never takes that for the time-out of a wait before", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    constexpr int rounds = 3'000;
    zsync::runtime own(options);
    std::atomic<int> parked{0};
    std::atomic<int> wrong{0};
    std::atomic<bool> ready{false};
    zsync::waker wake;
    auto sleeper = own.spawn([&] {
      wake = this_fiber::get_waker();
      ready = true;
      for (int i = 1; i <= rounds; ++i) {
        if (this_fiber::park_for(1us)) ++wrong;
        parked = i;
        if (!this_fiber::park_until(zsync::clock::now() + 1h)) ++wrong;
      }
    });
    while (!ready) std::this_thread::yield();
    for (int i = 1; i <= rounds; ++i) {
      while (parked != i) std::this_thread::yield();
      if (i % 2 == 0) {  // so that the worker has fallen asleep, or just does
        const auto until = std::chrono::steady_clock::now() + 30us;
        while (std::chrono::steady_clock::now() < until) {
        }
      }
      wake.wake();
    }
    sleeper.join();
    CHECK(wrong == 0);
  });
}

TEST_CASE("of wakes from many threads none is lost", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    constexpr int threads = 3;
    constexpr int each = 10'000;
    zsync::runtime own(options);
    std::atomic<int> announced{0};
    std::atomic<bool> ready{false};
    zsync::waker wake;
    auto sleeper = own.spawn([&] {
      wake = this_fiber::get_waker();
      ready = true;
      int seen = 0;
      while (seen < threads * each) {
        this_fiber::park();
        seen = announced;
      }
    });
    while (!ready) std::this_thread::yield();
    std::vector<std::thread> wakers;
    for (int t = 0; t < threads; ++t) {
      wakers.emplace_back([&, mine = wake] {
        for (int i = 0; i < each; ++i) {
          ++announced;
          mine.wake();
        }
      });
    }
    for (auto& t : wakers) t.join();
    CHECK(sleeper.join_for(30s));
  });
}

TEST_CASE("a wake, a deadline and a cancellation that race leave one cause each", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::array<int, 3> causes{};
    for (int round = 0; round < 500; ++round) {
      std::atomic<bool> ready{false};
      zsync::waker wake;
      auto one = own.spawn([&] {
        wake = this_fiber::get_waker();
        ready = true;
        return this_fiber::park_for(std::chrono::microseconds(round % 40));
      });
      while (!ready) std::this_thread::yield();
      if (round % 2 == 0) {
        wake.wake();
        one.cancel();
      } else {
        one.cancel();
        wake.wake();
      }
      try {
        ++causes[one.join() ? 0 : 1];
      } catch (const zsync::cancelled&) {
        ++causes[2];
      }
    }
    CHECK(causes[0] + causes[1] + causes[2] == 500);
  });
}

namespace {

zsync::waker signalled;  // what the handler wakes
std::atomic<int> handled = 0;
std::atomic<int> errno_after_wake = 0;

extern "C" void wake_in_handler(int) {
  const int before = errno;
  errno = 77;
  signalled.wake_from_signal();
  errno_after_wake = errno;
  ++handled;
  errno = before;
}

}  // namespace

TEST_CASE("a signal handler can wake a fiber, on its own worker too", "[park]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = &wake_in_handler;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, &before);
    handled = 0;
    own.block_on([&] {
      signalled = this_fiber::get_waker();
      for (int i = 0; i < 200; ++i) {
        const int seen = handled;
        ::raise(SIGUSR1);  // delivered to this very thread
        REQUIRE(handled == seen + 1);
        REQUIRE(errno_after_wake == 77);
        REQUIRE(this_fiber::park_for(10s));
      }
    });
    // A storm that hits the worker anywhere in its queues.
    std::atomic<bool> ready{false};
    std::atomic<bool> stop{false};
    std::atomic<int> woken{0};
    auto storm = own.spawn([&] {
      signalled = this_fiber::get_waker();
      ready = true;
      while (!stop) {
        if (this_fiber::park_for(1s)) ++woken;
        this_fiber::yield();
      }
    });
    auto busy = own.spawn([&] {
      while (!stop) {
        zsync::spawn([] {}).join();
        this_fiber::yield();
      }
    });
    while (!ready) std::this_thread::yield();
    itimerval every{};
    every.it_value.tv_usec = every.it_interval.tv_usec = 200;
    sigaction(SIGALRM, &action, nullptr);
    setitimer(ITIMER_REAL, &every, nullptr);
    while (woken < 200) std::this_thread::sleep_for(1ms);
    every = {};
    setitimer(ITIMER_REAL, &every, nullptr);
    stop = true;
    signalled.wake();
    storm.join();
    busy.join();
    signalled = {};
    sigaction(SIGUSR1, &before, nullptr);
    sigaction(SIGALRM, &before, nullptr);
    CHECK(woken >= 200);
  });
}
