// How soon one thread learns what another one tells it: asleep in the kernel (eventfd and epoll), or
// spinning.
#include "common/meter.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace {

using namespace std::chrono_literals;

// Calls `wake` in another thread a while after `sleep` has begun in this one, over and over.
template <class Sleep, class Wake>
void measure(bench::meter& m, long n, std::chrono::microseconds gap, Sleep sleep, Wake wake) {
  std::vector<double> took;
  std::atomic<long> seen{-1};
  std::atomic<std::int64_t> sent{0};
  std::thread foreign([&] {
    for (long i = 0; i < n; ++i) {
      while (seen.load() != i) std::this_thread::yield();
      const auto until = std::chrono::steady_clock::now() + gap;
      if (gap > 100us) std::this_thread::sleep_for(gap);
      while (std::chrono::steady_clock::now() < until) {
      }
      sent = bench::now_ns();
      wake();
    }
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    seen = i;
    sleep();
    took.push_back(static_cast<double>(bench::now_ns() - sent.load()));
  }
  m.stop(n);
  foreign.join();
  m.latencies(took);
}

void asleep(bench::meter& m) {
  const int wake = eventfd(0, EFD_NONBLOCK), poll = epoll_create1(0);
  epoll_event interest{};
  interest.events = EPOLLIN;
  epoll_ctl(poll, EPOLL_CTL_ADD, wake, &interest);
  std::uint64_t one = 1, count = 0;
  measure(
      m, m.scaled(2000, 200), 300us,
      [&] {
        epoll_event event{};
        while (epoll_wait(poll, &event, 1, -1) != 1) {
        }
        if (read(wake, &count, sizeof count) < 0) std::abort();
      },
      [&] {
        if (write(wake, &one, sizeof one) < 0) std::abort();
      });
}

void spinning(bench::meter& m) {
  std::atomic<bool> flag{false};
  measure(
      m, m.scaled(100'000, 10'000), 5us,
      [&] {
        while (!flag.load(std::memory_order_acquire)) __builtin_ia32_pause();
        flag = false;
      },
      [&] { flag.store(true, std::memory_order_release); });
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, {{"wake-asleep", asleep, false}, {"wake-spinning", spinning, false}});
}
