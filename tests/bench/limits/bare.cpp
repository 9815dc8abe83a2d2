// The limit of each row that a scheduler decides, over the bare scheduler.
#include "common/meter.hpp"
#include "limits/bare_meet.hpp"

namespace {

bare::scheduler* s;

void yields(bench::meter& m, long count) {
  const long rounds = std::max(1L, m.scaled(10'000'000) / count);
  bool go = false;
  long started = 0;
  bare::join_counter all(*s, count);
  for (long i = 0; i < count; ++i)
    s->spawn([&, rounds] {
      ++started;
      while (!go) s->yield();
      for (long r = 0; r < rounds; ++r) s->yield();
      all.done();
    });
  while (started < count) s->yield();
  go = true;
  m.start();
  all.wait();
  m.stop(rounds * count);
}

void spawn_join(bench::meter& m) {
  const long n = m.scaled(10'000'000);
  m.start();
  for (long i = 0; i < n; ++i) {
    bare::join_counter one(*s, 1);
    s->spawn([&one] { one.done(); });
    one.wait();
  }
  m.stop(n);
}

void spawn_batch(bench::meter& m) {
  const long batches = m.scaled(10'000);
  m.start();
  for (long b = 0; b < batches; ++b) {
    bare::join_counter all(*s, 1000);
    for (int i = 0; i < 1000; ++i) s->spawn([&all] { all.done(); });
    all.wait();
  }
  m.stop(batches * 1000);
}

void skynet_node(long number, long size, long& sum, bare::join_counter& parent) {
  if (size == 1) {
    sum = number;
    return parent.done();
  }
  long sums[10];
  bare::join_counter children(*s, 10);
  for (long i = 0; i < 10; ++i)
    s->spawn(
        [=, &children, out = &sums[i]] { skynet_node(number + i * (size / 10), size / 10, *out, children); });
  children.wait();
  sum = 0;
  for (long each : sums) sum += each;
  parent.done();
}

void skynet(bench::meter& m) {
  const long leaves = m.scaled(1'000'000) >= 1'000'000 ? 1'000'000 : 100'000;
  long sum = 0;
  bare::join_counter root(*s, 1);
  m.start();
  skynet_node(0, leaves, sum, root);
  m.stop(leaves + (leaves - 1) / 9);
  if (sum != leaves * (leaves - 1) / 2) std::abort();
}

long calls = 0;
void fib_node(int n, long& result, bare::join_counter& parent) {
  ++calls;
  if (n < 2) {
    result = n;
    return parent.done();
  }
  long a = 0, b = 0;
  bare::join_counter children(*s, 2);
  s->spawn([n, &a, &children] { fib_node(n - 1, a, children); });
  s->spawn([n, &b, &children] { fib_node(n - 2, b, children); });
  children.wait();
  result = a + b;
  parent.done();
}

void fib_25(bench::meter& m) {
  calls = 0;
  long result = 0;
  bare::join_counter root(*s, 1);
  m.start();
  fib_node(m.scaled(100) >= 100 ? 25 : 20, result, root);
  m.stop(calls);
}

void rendezvous(bench::meter& m) {
  const long n = m.scaled(3'000'000);
  bare::channel<long> there(*s, 0), back(*s, 0);
  bare::join_counter echo(*s, 1);
  s->spawn([&, n] {
    for (long i = 0; i < n; ++i) back.send(there.recv());
    echo.done();
  });
  m.start();
  for (long i = 0; i < n; ++i) {
    there.send(i);
    back.recv();
  }
  m.stop(n);
  echo.wait();
}

void buffered(bench::meter& m, int pairs) {
  const long each = m.scaled(10'000'000) / pairs;
  bare::channel<long> channel(*s, 128);
  bare::join_counter all(*s, 2 * pairs);
  m.start();
  for (int p = 0; p < pairs; ++p) {
    s->spawn([&, each] {
      for (long i = 0; i < each; ++i) channel.recv();
      all.done();
    });
    s->spawn([&, each] {
      for (long i = 0; i < each; ++i) channel.send(i);
      all.done();
    });
  }
  all.wait();
  m.stop(each * pairs);
}

void mutex_free(bench::meter& m) {
  const long n = m.scaled(20'000'000);
  bare::mutex lock(*s);
  m.start();
  for (long i = 0; i < n; ++i) {
    lock.lock();
    lock.unlock();
  }
  m.stop(n);
}

void mutex_8(bench::meter& m) {
  const long each = m.scaled(5'000'000) / 8;
  bare::mutex lock(*s);
  bare::join_counter all(*s, 8);
  m.start();
  for (int f = 0; f < 8; ++f)
    s->spawn([&, each] {
      for (long i = 0; i < each; ++i) {
        lock.lock();
        s->yield();
        lock.unlock();
      }
      all.done();
    });
  all.wait();
  m.stop(each * 8);
}

void condition(bench::meter& m) {
  const long n = m.scaled(3'000'000);
  bare::mutex lock(*s);
  bare::condition ping(*s), pong(*s);
  bool turn = false;
  bare::join_counter other(*s, 1);
  s->spawn([&, n] {
    lock.lock();
    for (long i = 0; i < n; ++i) {
      while (!turn) ping.wait(lock);
      turn = false;
      pong.notify_one();
    }
    lock.unlock();
    other.done();
  });
  m.start();
  lock.lock();
  for (long i = 0; i < n; ++i) {
    turn = true;
    ping.notify_one();
    while (turn) pong.wait(lock);
  }
  lock.unlock();
  m.stop(n);
  other.wait();
}

void parked(bench::meter& m) {
  bare::scheduler large(16 * 1024);
  s = &large;
  const long n = m.scaled(1'000'000) >= 1'000'000 ? 1'000'000 : 100'000;
  bare::condition never(large);
  bare::mutex lock(large);
  long waiting = 0;
  const bench::memory before;
  m.start();
  for (long i = 0; i < n; ++i)
    s->spawn([&] {
      lock.lock();
      ++waiting;
      never.wait(lock);
    });
  while (waiting < n) s->yield();
  m.stop(n);
  m.memory_since(before, n);
  m.print();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  bare::scheduler scheduler;
  s = &scheduler;
  return bench::run(argc, argv,
                    {{"yield-2", [](bench::meter& m) { yields(m, 2); }},
                     {"yield-100", [](bench::meter& m) { yields(m, 100); }},
                     {"yield-10000", [](bench::meter& m) { yields(m, 10'000); }},
                     {"spawn-join", spawn_join},
                     {"spawn-batch", spawn_batch},
                     {"skynet", skynet, false},
                     {"fib", fib_25},
                     {"rendezvous", rendezvous},
                     {"buffered-1-1", [](bench::meter& m) { buffered(m, 1); }},
                     {"buffered-4-4", [](bench::meter& m) { buffered(m, 4); }},
                     {"mutex-free", mutex_free},
                     {"mutex-8", mutex_8},
                     {"condition", condition},
                     {"parked", parked, false}});
}
