#include <zsync/sched/task_group.hpp>

#include "sched/without_rtti.hpp"
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

}  // namespace

TEST_CASE("a group waits for all its children", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<int> ended{0};
    zsync::task_group group;
    group.wait();
    for (int i = 0; i < 100; ++i) {
      group.spawn([&ended, i] {
        if (i % 3 == 0) this_fiber::sleep_for(std::chrono::microseconds(i));
        if (i % 3 == 1) this_fiber::yield();
        ++ended;
      });
    }
    group.wait();
    CHECK(ended == 100);
    CHECK(group.size() == 0);
    group.spawn([&ended](int n) { ended += n; }, 10);
    group.wait();
    CHECK(ended == 110);
  });
}

TEST_CASE("the first failure cancels the other children and is rethrown once", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<int> cancelled{0};
    zsync::task_group group;
    for (int i = 0; i < 20; ++i) {
      group.spawn([&] {
        try {
          this_fiber::park();
        } catch (const zsync::cancelled&) {
          ++cancelled;
          throw;
        }
      });
    }
    this_fiber::sleep_for(1ms);
    group.spawn([] { throw std::runtime_error("first"); });
    CHECK_THROWS_WITH(group.wait(), "first");
    CHECK(group.size() == 0);
    group.wait();  // not again
    CHECK(cancelled <= 20);
  });
}

TEST_CASE("of several failures the first is kept", "[group]") {
  test::in_fiber(everything, [] {
    zsync::task_group group;
    std::atomic<bool> first_out{false};
    group.spawn([&] {
      try {
        this_fiber::park();
      } catch (const zsync::cancelled&) {
        throw std::runtime_error("second");
      }
    });
    this_fiber::sleep_for(1ms);
    group.spawn([&] {
      first_out = true;
      throw std::runtime_error("first");
    });
    CHECK_THROWS_WITH(group.wait(), "first");
  });
}

TEST_CASE("children that are spawned after the group was cancelled begin cancelled", "[group]") {
  test::in_fiber(everything, [] {
    zsync::task_group group;
    group.cancel();
    std::atomic<int> passed{0};
    for (int i = 0; i < 10; ++i) {
      group.spawn([&] {
        this_fiber::sleep_for(1h);
        ++passed;
      });
    }
    group.wait();  // cancelled children are no failure
    CHECK(passed == 0);
  });
}

TEST_CASE("a group that is cancelled while its children spawn more comes to an end", "[group]") {
  test::in_fiber(everything, [] {
    zsync::task_group group;
    std::atomic<int> born{0};
    struct family {
      static void beget(zsync::task_group& parent, std::atomic<int>& count) {
        ++count;
        for (;;) {
          this_fiber::cancellation_point();
          if (parent.size() < 100) parent.spawn([&] { beget(parent, count); });
          this_fiber::sleep_for(10us);
        }
      }
    };
    group.spawn([&] { family::beget(group, born); });
    while (born < 50) this_fiber::sleep_for(100us);
    group.cancel();
    group.wait();
    CHECK(group.size() == 0);
  });
}

TEST_CASE("a group's end cancels its children and waits for them, also while unwinding", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<int> unwound{0};
    struct at_end {
      std::atomic<int>& count;
      ~at_end() {
        this_fiber::yield();
        ++count;
      }
    };
    std::atomic<int> parked{0};
    try {
      zsync::task_group group;
      for (int i = 0; i < 10; ++i) {
        group.spawn([&] {
          const at_end mark{unwound};
          ++parked;
          this_fiber::park();
        });
      }
      while (parked < 10) this_fiber::yield();
      throw 1;
    } catch (int) {
    }
    CHECK(unwound == 10);
  });
}

TEST_CASE("cancelling who waits for a group cancels the children and waits for them", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<int> ended{0};
    auto outer = zsync::spawn([&] {
      zsync::task_group group;
      for (int i = 0; i < 5; ++i) {
        group.spawn([&] {
          try {
            this_fiber::park();
          } catch (const zsync::cancelled&) {
            ++ended;
            throw;
          }
        });
      }
      group.wait();
    });
    this_fiber::sleep_for(1ms);
    outer.cancel();
    CHECK_THROWS_AS(outer.join(), zsync::cancelled);
    CHECK(ended <= 5);
  });
}

TEST_CASE("a scope that ends the wait for a group cancels the children and waits for them", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> ended{false};
    zsync::task_group group;
    group.spawn([&] {
      try {
        this_fiber::park();
      } catch (const zsync::cancelled&) {
        const zsync::cancellation_shield unhurried;
        this_fiber::sleep_for(10ms);
        ended = true;
        throw;
      }
    });
    CHECK_THROWS_AS(zsync::timeout(1ms, [&] { group.wait(); }), std::system_error);
    CHECK(ended);
    CHECK(group.size() == 0);
  });
}

TEST_CASE("a wait for a group with a time of its own lets the children go on", "[group]") {
  test::in_fiber(everything, [] {
    zsync::task_group group;
    std::atomic<bool> released{false};
    std::atomic<int> ended{0};
    group.spawn([&] {
      while (!released) this_fiber::sleep_for(1ms);
      ++ended;
    });
    CHECK_FALSE(group.wait_for(2ms));
    CHECK_FALSE(group.wait_until(zsync::clock::now()));
    CHECK(ended == 0);
    released = true;
    CHECK(group.wait_for(1h));
    CHECK(ended == 1);
    CHECK(group.wait_for(0s));
    group.spawn([] { throw std::runtime_error("as it says"); });
    CHECK_THROWS_AS(group.wait_for(1h), std::runtime_error);
  });
}

TEST_CASE("a group that ends within an expired scope waits for its children all the same", "[group]") {
  test::in_fiber(everything, [] {
    std::atomic<bool> ended{false};
    {
      const zsync::deadline_scope expired(-1s);
      zsync::task_group group;
      group.spawn([&] {
        const zsync::cancellation_shield unhurried;
        this_fiber::sleep_for(10ms);
        ended = true;
      });
    }
    CHECK(ended);
  });
}

TEST_CASE("groups nest: an inner failure ends the outer one", "[group]") {
  test::in_fiber(everything, [] {
    zsync::task_group outer;
    outer.spawn([] { this_fiber::park(); });
    outer.spawn([] {
      zsync::task_group inner;
      inner.spawn([] { this_fiber::park(); });
      inner.spawn([] {
        this_fiber::yield();
        throw std::runtime_error("deep");
      });
      inner.wait();
    });
    CHECK_THROWS_WITH(outer.wait(), "deep");
  });
}

TEST_CASE("a group may be cancelled from children and plain threads at any time", "[group]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    for (int round = 0; round < 100; ++round) {
      std::atomic<zsync::task_group*> shared{nullptr};
      std::atomic<bool> done{false};
      auto owner = own.spawn([&] {
        zsync::task_group group;
        for (int i = 0; i < 10; ++i) group.spawn([] { this_fiber::sleep_for(1h); });
        if (round % 2 == 0) group.spawn([&] { group.cancel(); });
        shared = &group;
        group.wait();
        while (!done) this_fiber::yield();
      });
      while (shared == nullptr) std::this_thread::yield();
      shared.load()->cancel();
      done = true;
      if (!owner.join_for(20s)) FAIL("the group never ended");
    }
  });
}

TEST_CASE("what a child owns is gone when the wait returns", "[group]") {
  test::in_fiber(everything, [] {
    for (int i = 0; i < 200; ++i) {
      const auto owned = std::make_shared<int>(i);
      zsync::task_group group;
      group.spawn([owned] { this_fiber::yield(); });
      group.spawn([owned] {});
      group.wait();
      CHECK(owned.use_count() == 1);
    }
  });
}

TEST_CASE("a group outside any runtime cannot spawn, and says so", "[group]") {
  zsync::task_group group;
  CHECK_THROWS_AS(group.spawn([] {}), std::system_error);
  CHECK(group.size() == 0);
  group.wait();
}

TEST_CASE("groups work for users who build without type information", "[group]") {
  test::in_fiber(test::axes{.workers = false, .backends = false},
                 [] { CHECK(without_rtti::children_of_groups() == 2); });
}
