// Boost.Fiber: channels, mutex and condition variable, between fibers of one thread.
#include "common/meter.hpp"

#include <boost/fiber/all.hpp>

namespace fibers = boost::fibers;

namespace {

void rendezvous(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  fibers::unbuffered_channel<long> there, back;
  fibers::fiber echo([&] {
    long v;
    while (there.pop(v) == fibers::channel_op_status::success) back.push(v);
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    long v;
    there.push(i);
    back.pop(v);
  }
  m.stop(n);
  there.close();
  echo.join();
}

void buffered(bench::meter& m, int pairs) {
  const long each = m.scaled(4'000'000) / pairs;
  fibers::buffered_channel<long> channel(128);
  std::vector<fibers::fiber> producers, consumers;
  m.start();
  for (int p = 0; p < pairs; ++p)
    consumers.emplace_back([&] {
      long v, sum = 0;
      while (channel.pop(v) == fibers::channel_op_status::success) sum += v;
    });
  for (int p = 0; p < pairs; ++p)
    producers.emplace_back([&] {
      for (long i = 0; i < each; ++i) channel.push(i);
    });
  for (auto& f : producers) f.join();
  channel.close();
  for (auto& f : consumers) f.join();
  m.stop(each * pairs);
}

void mutex_free(bench::meter& m) {
  const long n = m.scaled(10'000'000);
  fibers::mutex lock;
  m.start();
  for (long i = 0; i < n; ++i) {
    lock.lock();
    lock.unlock();
  }
  m.stop(n);
}

void mutex_8(bench::meter& m) {
  const long each = m.scaled(2'000'000) / 8;
  fibers::mutex lock;
  std::vector<fibers::fiber> all;
  m.start();
  for (int f = 0; f < 8; ++f)
    all.emplace_back([&] {
      for (long i = 0; i < each; ++i) {
        std::lock_guard guard(lock);
        boost::this_fiber::yield();
      }
    });
  for (auto& f : all) f.join();
  m.stop(each * 8);
}

void condition(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  fibers::mutex lock;
  fibers::condition_variable ping, pong;
  bool turn = false;
  fibers::fiber other([&] {
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
  return bench::run(argc, argv,
                    {{"rendezvous", rendezvous},
                     {"buffered-1-1", [](bench::meter& m) { buffered(m, 1); }},
                     {"buffered-4-4", [](bench::meter& m) { buffered(m, 4); }},
                     {"mutex-free", mutex_free},
                     {"mutex-8", mutex_8},
                     {"condition", condition}});
}
