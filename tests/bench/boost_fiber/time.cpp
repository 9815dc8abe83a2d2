// Boost.Fiber: timers, memory of parked fibers, and wake-ups from a plain thread.
#include "common/meter.hpp"

#include <boost/fiber/all.hpp>

#include <atomic>
#include <random>
#include <thread>

namespace fibers = boost::fibers;
using namespace std::chrono_literals;

namespace {

template <class F>
fibers::fiber small(F f) {
  return fibers::fiber(std::allocator_arg, boost::context::fixedsize_stack(16 * 1024), std::move(f));
}

long standing = 0, begun = 0;

// Fibers that sleep for 30 to 90 seconds, so that a timeout of 60 falls among them.
void stand(long count) {
  for (; standing < count; ++standing)
    small([at = standing] {
      ++begun;
      boost::this_fiber::sleep_for(30s + 600us * (at * 7919 % 100'000));
    }).detach();
  while (begun < standing) boost::this_fiber::yield();
}

void timeout(bench::meter& m) {
  stand(m.scaled(100'000));
  const long n = m.scaled(500'000);
  fibers::mutex lock;
  fibers::condition_variable ping, pong;
  bool turn = false;
  auto other = small([&] {
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

void sleeps(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  std::minstd_rand random(1);
  std::int64_t latest = 0;
  std::vector<fibers::fiber> all;
  all.reserve(static_cast<std::size_t>(n));
  m.start();
  for (long i = 0; i < n; ++i) {
    const std::int64_t delay = random() % 1'000'000'000;
    all.push_back(small([delay, &latest] {
      const std::int64_t due = bench::now_ns() + delay;
      boost::this_fiber::sleep_for(std::chrono::nanoseconds(delay));
      latest = std::max(latest, bench::now_ns() - due);
    }));
  }
  for (auto& f : all) f.join();
  m.stop(n);
  m.extra("latest_ms", static_cast<double>(latest) / 1e6);
}

void parked(bench::meter& m) {
  const long n = m.scaled(1'000'000) >= 1'000'000 ? 1'000'000 : 100'000;
  fibers::mutex lock;
  fibers::condition_variable never;
  const bench::memory before;
  m.start();
  for (long i = 0; i < n; ++i)
    small([&] {
      std::unique_lock guard(lock);
      never.wait(guard);
    }).detach();
  boost::this_fiber::yield();
  m.stop(n);
  m.memory_since(before, n);
  m.print();
  std::_Exit(0);
}

void wake_asleep(bench::meter& m) {
  const long n = m.scaled(2000, 200);
  std::vector<double> took;
  fibers::mutex lock;
  fibers::condition_variable woken;
  std::atomic<std::int64_t> sent{0};
  std::atomic<long> seen{0};
  std::thread foreign([&] {
    for (long i = 0; i < n; ++i) {
      while (seen.load() != i) std::this_thread::yield();
      std::this_thread::sleep_for(300us);
      std::unique_lock guard(lock);
      sent = bench::now_ns();
      woken.notify_one();
    }
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    std::unique_lock guard(lock);
    seen = i;
    woken.wait(guard, [&] { return sent.load() != 0; });
    took.push_back(static_cast<double>(bench::now_ns() - sent.exchange(0)));
  }
  m.stop(n);
  foreign.join();
  m.latencies(took);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv,
                    {{"timeout", timeout, false},
                     {"sleeps", sleeps, false},
                     {"parked", parked, false},
                     {"wake-asleep", wake_asleep, false}});
}
