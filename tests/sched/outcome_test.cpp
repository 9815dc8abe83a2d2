// Where the result of a fiber is destroyed: where its destructor may wait, whoever is the last to look.
#include <zsync/sched/call_after.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/address_space.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

// Waits when it dies, and counts whether it died within a fiber.
class slow_to_die {
 public:
  struct counts {
    std::atomic<int> dead = 0, outside = 0;
  };

  explicit slow_to_die(counts& c) : counts_(&c) {}
  slow_to_die(slow_to_die&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)) {}
  ~slow_to_die() {
    const zsync::cancellation_shield until_dead;
    zsync::this_fiber::sleep_for(1ms);
    if (counts_ == nullptr) return;
    if (!zsync::this_fiber::inside()) ++counts_->outside;
    ++counts_->dead;
  }

 private:
  counts* counts_;
};

// Others whose waits must go on to end as they should, while results die.
void sleep_and_check(std::atomic<int>& wrong) {
  for (int i = 0; i < 20; ++i) {
    const auto before = zsync::clock::now();
    zsync::this_fiber::sleep_for(2ms);
    if (zsync::clock::now() - before < 2ms) ++wrong;
  }
}

void while_others_sleep(const std::function<void()>& act) {
  std::atomic<int> wrong = 0;
  zsync::task_group sleepers;
  for (int i = 0; i < 8; ++i) sleepers.spawn([&] { sleep_and_check(wrong); });
  act();
  sleepers.wait();
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("the result of a detached fiber may wait in its destructor", "[outcome]") {
  test::matrix({.backends = false, .policies = true}, [](zsync::runtime_options options) {
    zsync::runtime own(options);
    slow_to_die::counts seen;
    own.block_on([&] {
      while_others_sleep([&] {
        for (int i = 0; i < 20; ++i) {
          zsync::spawn([&] { return slow_to_die(seen); }).detach();
          auto late = zsync::spawn([&] { return slow_to_die(seen); });
          zsync::this_fiber::sleep_for(1ms);
          late.detach();  // before its end, after it, or in between
        }
        while (seen.dead < 40) zsync::this_fiber::sleep_for(1ms);
      });
    });
    CHECK(seen.dead == 40);
    CHECK(seen.outside == 0);
  });
}

TEST_CASE("a result that nobody takes, or that was moved out, dies with the handle", "[outcome]") {
  test::matrix({.backends = false, .policies = true}, [](zsync::runtime_options options) {
    zsync::runtime own(options);
    slow_to_die::counts seen;
    own.block_on([&] {
      while_others_sleep([&] {
        for (int i = 0; i < 20; ++i) {
          {
            auto dropped = zsync::spawn([&] { return slow_to_die(seen); });
            zsync::this_fiber::yield();
          }
          CHECK(seen.dead == 2 * i + 1);
          {
            const slow_to_die taken = zsync::spawn([&] { return slow_to_die(seen); }).join();
          }
          CHECK(seen.dead == 2 * i + 2);
        }
      });
    });
    CHECK(seen.outside == 0);
  });
}

TEST_CASE("a deadline scope of a plain thread holds for a run() within it", "[outcome]") {
  const auto before = zsync::clock::now();
  const zsync::deadline_scope scope(50ms);
  CHECK_THROWS_AS(zsync::run([] { zsync::this_fiber::sleep_for(20s); }), std::system_error);
  CHECK(zsync::clock::now() - before < 10s);
}

TEST_CASE("fibers for which there are no stacks fail in their joins, drop what they own, and others go on",
          "[outcome]") {
  if (test::sanitized) return;  // they reserve terabytes of address space
  const auto result = test::run_in_child([] {
    constexpr std::size_t mib = 1024 * 1024;
    zsync::runtime own({.workers = 2, .stack_size = 4 * mib});
    own.block_on([&] { zsync::this_fiber::yield(); });
    const rlim_t little_more =
        test::address_space() + 512 * mib;  // arenas of earlier tests' threads are in there
    const rlimit little{little_more, little_more};
    if (::setrlimit(RLIMIT_AS, &little) != 0) return;
    for (int round = 0; round < 3; ++round) {
      auto owned = std::make_shared<int>();
      int refused = 0, without = 0, ran = 0;
      std::atomic<bool> all_asked = false;
      own.block_on([&] {
        std::vector<zsync::fiber<int>> all;
        for (int i = 0; i < 400; ++i) {
          try {
            all.push_back(zsync::spawn([owned, &all_asked] {
              while (!all_asked) zsync::this_fiber::sleep_for(1ms);
              return 1;
            }));
          } catch (const std::system_error& e) {
            if (e.code() == std::errc::not_enough_memory) ++refused;
          }
          if (i % 50 == 49) zsync::this_fiber::sleep_for(1ms);  // those before begin, or find no stack
        }
        all_asked = true;
        for (auto& f : all) {
          try {
            ran += f.join();
          } catch (const std::system_error& e) {
            if (e.code() == std::errc::not_enough_memory) ++without;
          }
        }
        if (owned.use_count() == 1) std::fprintf(stderr, "dropped ");
      });
      std::fprintf(stderr, "%s%s", ran + refused + without == 400 ? "all " : "some ",
                   ran > 20 && refused + without > 20 ? "both " : "one ");
    }
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.err, Catch::Equals("dropped all both dropped all both dropped all both "));
}

TEST_CASE("a fiber for which there is no stack drops what it owns before its handle goes", "[outcome]") {
  if (test::sanitized) return;  // they reserve terabytes of address space
  const auto result = test::run_in_child([] {
    constexpr std::size_t mib = 1024 * 1024;
    zsync::runtime own({.workers = 1});
    own.block_on([&] { zsync::this_fiber::yield(); });
    const rlim_t little_more = test::address_space() + 512 * mib;
    const rlimit little{little_more, little_more};
    if (::setrlimit(RLIMIT_AS, &little) != 0) return;
    own.block_on([&] {
      auto owned = std::make_shared<int>();
      auto without = zsync::spawn({.stack_size = 1024 * mib}, [owned] {});
      for (int i = 0; i < 5000 && owned.use_count() > 1; ++i) zsync::this_fiber::sleep_for(1ms);
      if (owned.use_count() == 1) std::fprintf(stderr, "dropped ");
      try {
        without.join();
      } catch (const std::system_error& e) {
        if (e.code() == std::errc::not_enough_memory) std::fprintf(stderr, "failed");
      }
    });
  });
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.err, Catch::Equals("dropped failed"));
}

TEST_CASE("closures and results are aligned as they ask", "[outcome]") {
  struct alignas(64) wide {
    char bytes[64] = {};
  };
  const auto aligned = [](const wide& w) { return reinterpret_cast<std::uintptr_t>(&w) % 64 == 0; };
  test::matrix({.backends = false}, [&](zsync::runtime_options options) {
    zsync::runtime own(options);
    own.block_on([&] {
      for (int i = 0; i < 20; ++i) {
        const wide captured;
        CHECK(zsync::spawn([captured, &aligned] { return aligned(captured); }).join());
        const auto result = zsync::spawn([] { return wide(); }).join();
        CHECK(result.bytes[63] == 0);
        zsync::task_group group;
        group.spawn([captured, &aligned] { CHECK(aligned(captured)); });
        group.wait();
      }
    });
    CHECK(own.spawn([w = wide(), &aligned] { return aligned(w); }).join());  // from a plain thread
  });
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)

namespace {

// What is allocated and not freed, in bytes; but what threads keep for themselves counts as well.
std::size_t in_use() { return ::mallinfo2().uordblks; }

constexpr int many = 20'000;
constexpr std::size_t less_than_a_block_each = many * std::size_t{50};

}  // namespace

TEST_CASE("control blocks of children are freed with them, however many a group has had", "[outcome]") {
  if (test::sanitized) return;  // whose leaks are found by other means
  zsync::runtime own({.workers = 1});
  own.block_on([] {
    const auto spawn_some = [](int count) {
      zsync::task_group group;
      for (int i = 0; i < count; ++i) {
        group.spawn([] {});
        if (i % 100 == 99) group.wait();
      }
    };
    spawn_some(1000);
    const std::size_t before = in_use();
    spawn_some(many);
    CHECK(in_use() < before + less_than_a_block_each);
  });
}

TEST_CASE("calls that were asked for and cancelled from outside leave nothing behind", "[outcome]") {
  if (test::sanitized) return;  // as above
  zsync::runtime own({.workers = 1});
  const auto ask_and_cancel = [&](int count) {
    for (int i = 0; i < count; ++i) {
      own.call_after(1h, [] {}).cancel();
      if (i % 100 == 99) own.block_on([] {});
    }
    own.block_on([] { zsync::this_fiber::sleep_for(1ms); });
  };
  ask_and_cancel(1000);
  const std::size_t before = in_use();
  ask_and_cancel(many);
  CHECK(in_use() < before + less_than_a_block_each);
}

#endif
