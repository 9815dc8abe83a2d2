#include <zsync/fiber/stack.hpp>

#include "support/address_space.hpp"
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <vector>

using zsync::detail::stack;
using zsync::detail::stack_pool;
using zsync::detail::touched_bytes;

namespace {

constexpr std::size_t size = 64 * 1024;

std::vector<stack> allocate(stack_pool& pool, std::size_t count) {
  std::vector<stack> all;
  for (std::size_t i = 0; i < count; ++i) {
    all.push_back(pool.allocate(size));
    REQUIRE(all.back());
  }
  return all;
}

// As a fiber would that goes down to the end of its stack.
void fill(const stack& memory, unsigned char what) { std::memset(memory.bottom, what, memory.size()); }

bool holds(const stack& memory, unsigned char what) {
  return std::all_of(memory.bottom, memory.top, [what](std::byte b) { return b == std::byte{what}; });
}

// Whether the kernel may read there: of a guard it may not, and says so instead of ending the process.
bool readable(const std::byte* at) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const ssize_t n = ::write(ends[1], at, 1);
  const int error = errno;
  ::close(ends[0]);
  ::close(ends[1]);
  REQUIRE((n == 1 || error == EFAULT));
  return n == 1;
}

}  // namespace

TEST_CASE("a released stack serves again, however many there are", "[stack]") {
  stack_pool pool;
  for (int round = 0; round < 4; ++round) {
    for (const stack& one : allocate(pool, 100)) pool.release(one);
  }
  CHECK(pool.carved() == 100);
  CHECK(pool.holding() == 100);
}

TEST_CASE("the guard of a stack covers all of it, and nothing of the stacks beside it", "[stack]") {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  stack_pool pool;
  for (const stack& one : allocate(pool, 3)) {
    fill(one, 1);
    for (std::size_t below = 1; below <= stack_pool::guard_size; below += page) {
      CHECK_FALSE(readable(one.bottom - below));
    }
    CHECK_FALSE(readable(one.bottom - stack_pool::guard_size));
    CHECK(readable(one.bottom));
    CHECK(readable(one.top - 1));
  }
}

TEST_CASE("stacks of a size do not overlap, and differ in where they start within a page", "[stack]") {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  stack_pool pool;
  std::vector<stack> all = allocate(pool, 40);
  std::vector<std::size_t> offsets;
  for (const stack& one : all) {
    CHECK(one.size() <= size);
    CHECK(one.size() > size - page);
    offsets.push_back(reinterpret_cast<std::size_t>(one.top) % page);
  }
  std::ranges::sort(offsets);
  CHECK(std::unique(offsets.begin(), offsets.end()) - offsets.begin() >= 32);
  std::ranges::sort(all, {}, &stack::bottom);
  for (std::size_t i = 1; i < all.size(); ++i) {
    CHECK(all[i - 1].top + stack_pool::guard_size <= all[i].bottom);
  }
}

// A window is of 256 releases; a stack that was free throughout one is trimmed in the next, one at each
// release.
void pass_releases(stack_pool& pool, int n) {
  for (int i = 0; i < n; ++i) pool.release(pool.allocate(size));
}

// The pool counts how many of its free stacks it has trimmed already. Once that count was of stacks that had
// left the list since, and a release then trimmed whichever stood there before: one that was in use.
TEST_CASE("stacks in use keep what they hold, whatever is trimmed among the free ones", "[stack]") {
  stack_pool pool;
  std::vector<stack> all = allocate(pool, 150);
  for (const stack& one : all) {
    fill(one, 1);
    pool.release(one);
  }
  pass_releases(pool, 2 * 256 - 150 + 20);  // some of them are trimmed, and others are to be
  all = allocate(pool, 150);
  REQUIRE(pool.carved() == 150);
  for (const stack& one : all) fill(one, 2);
  for (int i = 0; i < 80; ++i) {
    pool.release(all.back());
    all.pop_back();
    if (i % 3 == 0) {
      all.insert(all.begin(), pool.allocate(size));
      fill(all.front(), 2);
    }
  }
  for (const stack& one : all) CHECK(holds(one, 2));
}

TEST_CASE("what was used deeply goes back to the kernel once it has been free for many releases of others",
          "[stack]") {
  stack_pool pool;
  const std::vector<stack> all = allocate(pool, 100);
  for (const stack& one : all) {
    fill(one, 1);
    REQUIRE(touched_bytes(one) == size);
    pool.release(one);
  }
  CHECK(pool.excess() == 100 - 64);  // for who has nothing else to do
  pass_releases(pool, 1000);
  CHECK(pool.excess() == 0);
  const auto deep =
      std::ranges::count_if(all, [](const stack& one) { return touched_bytes(one) > size / 2; });
  CHECK(deep == 64);
  for (const stack& one : all) CHECK(touched_bytes(one) > 0);  // the first pages stay
}

TEST_CASE("stacks that waves of fibers use again and again are left as they are", "[stack]") {
  stack_pool pool;
  for (int wave = 0; wave < 20; ++wave) {
    const std::vector<stack> all = allocate(pool, 200);
    for (const stack& one : all) {
      if (wave != 0) CHECK(touched_bytes(one) == size);
      fill(one, 1);
    }
    for (const stack& one : all) pool.release(one);
  }
}

TEST_CASE("stacks that nobody needs for a while give all their memory back, but for a few", "[stack]") {
  stack_pool pool;
  std::vector<stack> all = allocate(pool, 200);
  for (const stack& one : all) fill(one, 1);
  for (const stack& one : all) pool.release(one);
  pool.begin_period();
  std::vector<stack> needed = allocate(pool, 50);  // while they were watched: so 150 were not needed
  for (const stack& one : needed) fill(one, 2);
  for (const stack& one : needed) pool.release(one);
  CHECK(pool.excess() == 200 - 64);
  while (pool.return_unused(7)) {
  }
  CHECK(pool.excess() == 50);  // the needed ones
  CHECK(pool.holding() == 200 - (150 - 64));
  const auto empty = std::ranges::count_if(all, [](const stack& one) { return touched_bytes(one) == 0; });
  CHECK(empty == 150 - 64);
  // They serve again all the same, and are counted again.
  for (const stack& one : allocate(pool, 200)) pool.release(one);
  CHECK(pool.carved() == 200);
  CHECK(pool.holding() == 200);
}

#if defined(__linux__) && !ZSYNC_TESTS_SANITIZED  // sanitizers reserve terabytes of address space

TEST_CASE("a lack of stacks is over when one has come back, even if it is in use again", "[stack]") {
  const auto result = zsync::test::run_in_child([] {
    stack_pool pool;
    rlimit few{};
    ::getrlimit(RLIMIT_AS, &few);
    few.rlim_cur = zsync::test::address_space() + (rlim_t{64} << 20);
    stack last = pool.allocate(size);
    if (::setrlimit(RLIMIT_AS, &few) != 0) return;
    int left = 5000;
    for (stack next = last; next && left != 0; next = pool.allocate(size), --left) last = next;
    const bool lacking = pool.exhausted(size);
    pool.release(last);
    const bool there_again = static_cast<bool>(pool.allocate(size));
    const bool lacks_still = pool.exhausted(size);
    std::fprintf(stderr, "%d %d %d", lacking, there_again, lacks_still);
  });
  CHECK(result.err == "1 1 0");
}

#endif
