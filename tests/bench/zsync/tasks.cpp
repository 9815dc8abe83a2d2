// zsync: switching, spawning and joining, on one worker, with the defaults that users get.
#include "common/meter.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

namespace {

void yields(bench::meter& m, long count) {
  const long rounds = std::max(1L, m.scaled(10'000'000) / count);
  bool go = false;
  long started = 0;
  std::vector<zsync::fiber<>> all;
  for (long i = 0; i < count; ++i)
    all.emplace_back([&, rounds] {
      ++started;
      while (!go) zsync::this_fiber::yield();
      for (long r = 0; r < rounds; ++r) zsync::this_fiber::yield();
    });
  while (started < count) zsync::this_fiber::yield();
  go = true;
  m.start();
  for (auto& each : all) each.join();
  m.stop(rounds * count);
}

void spawn_join(bench::meter& m) {
  const long n = m.scaled(5'000'000);
  m.start();
  for (long i = 0; i < n; ++i) zsync::fiber([] {}).join();
  m.stop(n);
}

void spawn_batch(bench::meter& m) {
  const long batches = m.scaled(5000);
  std::vector<zsync::fiber<>> all;
  all.reserve(1000);
  m.start();
  for (long b = 0; b < batches; ++b) {
    for (int i = 0; i < 1000; ++i) all.emplace_back([] {});
    for (auto& each : all) each.join();
    all.clear();
  }
  m.stop(batches * 1000);
}

long skynet_node(long number, long size) {
  if (size == 1) return number;
  zsync::fiber<long> children[10];
  for (long i = 0; i < 10; ++i) children[i] = zsync::spawn(skynet_node, number + i * (size / 10), size / 10);
  long sum = 0;
  for (auto& each : children) sum += each.join();
  return sum;
}

void skynet(bench::meter& m) {
  const long leaves = m.scaled(1'000'000) >= 1'000'000 ? 1'000'000 : 100'000;
  m.start();
  const long sum = skynet_node(0, leaves);
  m.stop(leaves + (leaves - 1) / 9);
  if (sum != leaves * (leaves - 1) / 2) std::abort();
}

long calls = 0;
long fib_node(int n) {
  ++calls;
  if (n < 2) return n;
  auto left = zsync::spawn(fib_node, n - 1);
  auto right = zsync::spawn(fib_node, n - 2);
  return left.join() + right.join();
}

void fib(bench::meter& m) {
  calls = 0;
  m.start();
  fib_node(m.scaled(100) >= 100 ? 25 : 20);
  m.stop(calls);
}

}  // namespace

int main(int argc, char** argv) {
  const bool movable = argc > 1 && std::string_view(argv[1]).ends_with("-movable");
  const zsync::runtime_options one{
      .workers = 1, .policy = movable ? zsync::scheduling::work_stealing : zsync::scheduling::pinned};
  return zsync::run(
      [&] {
        return bench::run(argc, argv,
                          {{"yield-2", [](bench::meter& m) { yields(m, 2); }},
                           {"yield-100", [](bench::meter& m) { yields(m, 100); }},
                           {"yield-10000", [](bench::meter& m) { yields(m, 10'000); }},
                           {"spawn-join", spawn_join},
                           {"spawn-batch", spawn_batch},
                           {"skynet", skynet, false},
                           {"fib", fib},
                           {"skynet-movable", skynet, false},
                           {"fib-movable", fib}});
      },
      one);
}
