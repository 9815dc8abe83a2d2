// Boost.Fiber: switching, spawning and joining, on one thread with the default (round-robin) scheduler.
// Stacks are pooled where many are made in turn, as its documentation advises.
#include "common/meter.hpp"

#include <boost/fiber/all.hpp>

#include <memory>

namespace fibers = boost::fibers;
using stacks = boost::context::pooled_fixedsize_stack;

namespace {

constexpr std::size_t small_stack = 16 * 1024;  // the default of 128 KiB runs into vm.max_map_count

void yields(bench::meter& m, long count) {
  const long rounds = std::max(1L, m.scaled(3'000'000) / count);
  bool go = false;
  std::vector<fibers::fiber> all;
  for (long i = 0; i < count; ++i)
    all.emplace_back(std::allocator_arg, boost::context::fixedsize_stack(small_stack), [&] {
      while (!go) boost::this_fiber::yield();
      for (long r = 0; r < rounds; ++r) boost::this_fiber::yield();
    });
  boost::this_fiber::yield();
  go = true;
  m.start();
  for (auto& each : all) each.join();
  m.stop(rounds * count);
}

void spawn_join(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  stacks pool;
  m.start();
  for (long i = 0; i < n; ++i) fibers::fiber(std::allocator_arg, pool, [] {}).join();
  m.stop(n);
}

void spawn_batch(bench::meter& m) {
  const long batches = m.scaled(1000);
  stacks pool;
  std::vector<fibers::fiber> all;
  all.reserve(1000);
  m.start();
  for (long b = 0; b < batches; ++b) {
    for (int i = 0; i < 1000; ++i) all.emplace_back(std::allocator_arg, pool, [] {});
    for (auto& each : all) each.join();
    all.clear();
  }
  m.stop(batches * 1000);
}

long skynet_node(long number, long size) {
  if (size == 1) return number;
  long sums[10];
  fibers::fiber children[10];
  for (long i = 0; i < 10; ++i)
    children[i] = fibers::fiber(std::allocator_arg, boost::context::fixedsize_stack(small_stack),
                                [=, &sums] { sums[i] = skynet_node(number + i * (size / 10), size / 10); });
  long sum = 0;
  for (long i = 0; i < 10; ++i) {
    children[i].join();
    sum += sums[i];
  }
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
long fib(int n) {
  ++calls;
  if (n < 2) return n;
  long a = 0, b = 0;
  fibers::fiber left(std::allocator_arg, boost::context::fixedsize_stack(small_stack),
                     [&a, n] { a = fib(n - 1); });
  fibers::fiber right(std::allocator_arg, boost::context::fixedsize_stack(small_stack),
                      [&b, n] { b = fib(n - 2); });
  left.join();
  right.join();
  return a + b;
}

void fib_25(bench::meter& m) {
  calls = 0;
  m.start();
  fib(m.scaled(100) >= 100 ? 25 : 20);
  m.stop(calls);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv,
                    {{"yield-2", [](bench::meter& m) { yields(m, 2); }},
                     {"yield-100", [](bench::meter& m) { yields(m, 100); }},
                     {"yield-10000", [](bench::meter& m) { yields(m, 10'000); }},
                     {"spawn-join", spawn_join},
                     {"spawn-batch", spawn_batch},
                     {"skynet", skynet, false},
                     {"fib", fib_25}});
}
