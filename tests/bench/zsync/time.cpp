// zsync: timers, memory of parked fibers, and wake-ups from a plain thread, on one worker.
#include "common/meter.hpp"

#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/timer/timer_queue.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

namespace {

using namespace std::chrono_literals;

// Fibers that sleep for 30 to 90 seconds, so that a timeout of 60 falls among them. All of them have begun
// when it returns, so that no row pays for stacks that it does not use.
void stand(long count) {
  static long standing = 0, begun = 0;
  for (; standing < count; ++standing)
    zsync::fiber([at = standing] {
      ++begun;
      zsync::this_fiber::sleep_for(30s + 600us * (at * 7919 % 100'000));
    }).detach();
  while (begun < standing) zsync::this_fiber::yield();
}

void timeout(bench::meter& m) {
  stand(m.scaled(100'000));
  const long n = m.scaled(2'000'000);
  zsync::mutex lock;
  zsync::condition_variable ping, pong;
  bool turn = false;
  zsync::fiber other([&, n] {
    std::unique_lock guard(lock);
    for (long i = 0; i < n; ++i) {
      ping.wait_for(guard, 60s, [&] { return turn; });
      turn = false;
      pong.notify_one();
    }
  });
  m.start();
  {
    std::unique_lock guard(lock);
    for (long i = 0; i < n; ++i) {
      turn = true;
      ping.notify_one();
      pong.wait_for(guard, 60s, [&] { return !turn; });
    }
  }
  m.stop(n);
  other.join();
}

// The queue that every wait with a deadline uses.
void timer_cancel(bench::meter& m) {
  using zsync::detail::timer_node;
  const auto ignore = [](timer_node&) noexcept {};
  zsync::detail::timer_queue queue;
  std::vector<std::unique_ptr<timer_node>> standing;
  for (long i = 0; i < m.scaled(100'000); ++i) {
    standing.push_back(std::make_unique<timer_node>(ignore));
    queue.add(*standing.back(), zsync::deadline::after(30s + 600us * (i * 7919 % 100'000)));
  }
  const long n = m.scaled(10'000'000);
  timer_node timer(ignore);
  m.start();
  for (long i = 0; i < n; ++i) {
    queue.add(timer, zsync::deadline::after(60s));
    queue.cancel(timer);
  }
  m.stop(n);
  for (auto& each : standing) queue.cancel(*each);
}

void sleeps(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  std::minstd_rand random(1);
  std::int64_t latest = 0;
  std::vector<zsync::fiber<>> all;
  all.reserve(static_cast<std::size_t>(n));
  m.start();
  for (long i = 0; i < n; ++i) {
    const std::int64_t delay = random() % 1'000'000'000;
    all.emplace_back([delay, &latest] {
      const std::int64_t due = bench::now_ns() + delay;
      zsync::this_fiber::sleep_for(std::chrono::nanoseconds(delay));
      latest = std::max(latest, bench::now_ns() - due);
    });
  }
  for (auto& f : all) f.join();
  m.stop(n);
  m.extra("latest_ms", static_cast<double>(latest) / 1e6);
}

void parked(bench::meter& m) {
  const long n = m.scaled(1'000'000) >= 1'000'000 ? 1'000'000 : 100'000;
  zsync::mutex lock;
  zsync::condition_variable never;
  long waiting = 0;
  const bench::memory before;
  m.start();
  for (long i = 0; i < n; ++i)
    zsync::fiber([&] {
      std::unique_lock guard(lock);
      ++waiting;
      never.wait(guard);
    }).detach();
  while (waiting < n) zsync::this_fiber::yield();
  m.stop(n);
  m.memory_since(before, n);
  m.print();
  std::_Exit(0);
}

// `gap`: how long after the fiber has parked the plain thread wakes it.
void wake(bench::meter& m, long n, std::chrono::microseconds gap) {
  std::vector<double> took;
  std::atomic<std::int64_t> sent{0};
  std::atomic<long> seen{-1};
  const zsync::waker sleeper = zsync::this_fiber::get_waker();
  std::thread foreign([&, n] {
    for (long i = 0; i < n; ++i) {
      while (seen.load() != i) std::this_thread::yield();
      const auto until = std::chrono::steady_clock::now() + gap;
      if (gap > 100us) std::this_thread::sleep_for(gap);
      while (std::chrono::steady_clock::now() < until) {
      }
      sent = bench::now_ns();
      sleeper.wake();
    }
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    seen = i;
    zsync::this_fiber::park();
    took.push_back(static_cast<double>(bench::now_ns() - sent.load()));
  }
  m.stop(n);
  foreign.join();
  m.latencies(took);
}

}  // namespace

int main(int argc, char** argv) {
  const zsync::runtime_options one{.workers = 1};
  return zsync::run(
      [&] {
        return bench::run(
            argc, argv,
            {{"timeout", timeout, false},
             {"timer-cancel", timer_cancel, false},
             {"sleeps", sleeps, false},
             {"parked", parked, false},
             {"wake-asleep", [](bench::meter& m) { wake(m, m.scaled(2000, 200), 300us); }, false},
             {"wake-spinning", [](bench::meter& m) { wake(m, m.scaled(100'000, 10'000), 5us); }, false}});
      },
      one);
}
