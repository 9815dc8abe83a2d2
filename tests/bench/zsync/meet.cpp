// zsync: channels, select, mutex and condition variable, between fibers of one worker.
#include "common/meter.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/mutex.hpp>
#if __has_include(<zsync/channel/select.hpp>)
#include <zsync/channel/select.hpp>
#define HAVE_SELECT
#endif
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <mutex>

namespace {

void rendezvous(bench::meter& m) {
  const long n = m.scaled(3'000'000);
  auto [there, from_here] = zsync::channel<long>(0);
  auto [back, from_there] = zsync::channel<long>(0);
  zsync::fiber echo([rx = std::move(from_here), tx = std::move(back)] {
    while (auto v = rx.recv()) tx.send(*v);
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    there.send(i);
    if (!from_there.recv()) std::abort();
  }
  m.stop(n);
  there.close();
  echo.join();
}

void buffered(bench::meter& m, int pairs) {
  const long each = m.scaled(10'000'000) / pairs;
  auto [tx, rx] = zsync::channel<long>(128);
  std::vector<zsync::fiber<>> producers, consumers;
  m.start();
  for (int p = 0; p < pairs; ++p) {
    consumers.emplace_back([rx = rx] {
      long sum = 0;
      while (auto v = rx.recv()) sum += *v;
      if (sum < 0) std::abort();
    });
    producers.emplace_back([tx = tx, each] {
      for (long i = 0; i < each; ++i) tx.send(i);
    });
  }
  for (auto& f : producers) f.join();
  tx.close();
  for (auto& f : consumers) f.join();
  m.stop(each * pairs);
}

#ifdef HAVE_SELECT
void select_4(bench::meter& m) {
  const long n = m.scaled(1'000'000) / 4 * 4;
  std::vector<zsync::receiver<long>> from;
  std::vector<zsync::sender<long>>
      open;  // a channel that its producer had closed would be received from for ever
  std::vector<zsync::fiber<>> producers;
  for (int c = 0; c < 4; ++c) {
    auto [tx, rx] = zsync::channel<long>(0);
    from.push_back(rx);
    open.push_back(tx);
    producers.emplace_back([tx = tx, n] {
      for (long i = 0; i < n / 4; ++i) tx.send(i);
    });
  }
  long sum = 0;
  const auto add = [&](std::optional<long> v) { sum += *v; };
  m.start();
  for (long i = 0; i < n; ++i)
    zsync::select(zsync::on_recv(from[0], add), zsync::on_recv(from[1], add), zsync::on_recv(from[2], add),
                  zsync::on_recv(from[3], add));
  m.stop(n);
  for (auto& f : producers) f.join();
}

#endif

void mutex_free(bench::meter& m) {
  const long n = m.scaled(20'000'000);
  zsync::mutex lock;
  m.start();
  for (long i = 0; i < n; ++i) {
    lock.lock();
    lock.unlock();
  }
  m.stop(n);
}

void mutex_8(bench::meter& m) {
  const long each = m.scaled(5'000'000) / 8;
  zsync::mutex lock;
  std::vector<zsync::fiber<>> all;
  m.start();
  for (int f = 0; f < 8; ++f)
    all.emplace_back([&, each] {
      for (long i = 0; i < each; ++i) {
        std::lock_guard guard(lock);
        zsync::this_fiber::yield();
      }
    });
  for (auto& f : all) f.join();
  m.stop(each * 8);
}

void condition(bench::meter& m) {
  const long n = m.scaled(3'000'000);
  zsync::mutex lock;
  zsync::condition_variable ping, pong;
  bool turn = false;
  zsync::fiber other([&, n] {
    std::unique_lock guard(lock);
    for (long i = 0; i < n; ++i) {
      ping.wait(guard, [&] { return turn; });
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
      pong.wait(guard, [&] { return !turn; });
    }
  }
  m.stop(n);
  other.join();
}

}  // namespace

int main(int argc, char** argv) {
  const zsync::runtime_options one{.workers = 1};
  return zsync::run(
      [&] {
        return bench::run(argc, argv,
                          {{"rendezvous", rendezvous},
                           {"buffered-1-1", [](bench::meter& m) { buffered(m, 1); }},
                           {"buffered-4-4", [](bench::meter& m) { buffered(m, 4); }},
#ifdef HAVE_SELECT
                           {"select-4", select_4},
#endif
                           {"mutex-free", mutex_free},
                           {"mutex-8", mutex_8},
                           {"condition", condition}});
      },
      one);
}
