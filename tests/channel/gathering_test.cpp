// Latch, barrier, wait group, once and event: many wait for one thing.
#include "meeting.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/barrier.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/latch.hpp>
#include <zsync/channel/once.hpp>
#include <zsync/channel/wait_group.hpp>

#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a latch opens at zero, not before, and stays open", "[latch]") {
  over_workers([] {
    latch ready(3);
    std::atomic<int> passed{0};
    std::vector<fiber<>> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(spawn([&] {
        ready.wait();
        ++passed;
      }));
    }
    let_others_wait();
    ready.count_down(2);
    CHECK_FALSE(ready.try_wait());
    CHECK_FALSE(ready.wait_for(2ms));
    CHECK(passed == 0);
    ready.arrive_and_wait();
    for (auto& one : all) one.join();
    CHECK(passed == 4);
    CHECK(ready.try_wait());
    ready.wait();
  });
}

TEST_CASE("an arrival at a latch counts as many as it says", "[latch]") {
  over_workers([] {
    latch ready(4);
    auto waits = spawn([&] { ready.arrive_and_wait(3); });
    let_others_wait();
    CHECK_FALSE(ready.try_wait());
    ready.count_down();
    REQUIRE(ready.try_wait());
    waits.join();
  });
}

TEST_CASE("the last arrival at a latch does not wait, however many it counts", "[latch]") {
  over_workers([] {
    latch ready(3);
    auto last = spawn([&] { ready.arrive_and_wait(3); });
    CHECK(last.join_for(10s));
    CHECK(ready.try_wait());
  });
}

TEST_CASE("a latch may be destroyed by whoever waited for it", "[latch]") {
  over_workers([] {
    for (int i = 0; i < 300; ++i) {
      auto once = std::make_unique<latch>(2);
      auto a = spawn([&l = *once] { l.count_down(); });
      auto b = spawn([&l = *once] { l.count_down(); });
      once->wait();
      once.reset();
      a.join();
      b.join();
    }
  });
}

TEST_CASE("a barrier holds everyone until the last has come, phase after phase", "[barrier]") {
  over_workers([] {
    constexpr int parties = 5;
    std::atomic<int> arrived{0};
    std::atomic<bool> wrong{false};
    int phases = 0;
    auto completion = [&]() noexcept {
      ++phases;
      if (arrived != phases * parties) wrong = true;
    };
    barrier meeting(parties, completion);
    std::vector<fiber<>> all;
    for (int i = 0; i < parties; ++i) {
      all.push_back(spawn([&] {
        for (int phase = 1; phase <= 100; ++phase) {
          ++arrived;
          meeting.arrive_and_wait();
          if (arrived < phase * parties) wrong = true;
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK_FALSE(wrong);
    CHECK(phases == 100);
  });
}

TEST_CASE("an arrival at a barrier need not wait, and who drops out is expected no more", "[barrier]") {
  over_workers([] {
    barrier<> meeting(3);
    auto token = meeting.arrive();
    std::atomic<bool> through{false};
    auto other = spawn([&] {
      meeting.arrive_and_wait();
      through = true;
    });
    let_others_wait();
    CHECK_FALSE(through);
    meeting.arrive_and_drop();
    meeting.wait(std::move(token));
    other.join();
    CHECK(through);
    auto second = meeting.arrive(2);  // two are left
    meeting.wait(std::move(second));
  });
}

TEST_CASE("a wait group waits for what was added, and can be used again", "[wait_group]") {
  over_workers([] {
    wait_group pending;
    pending.wait();
    for (int round = 0; round < 3; ++round) {
      std::atomic<int> done{0};
      for (int i = 0; i < 20; ++i) {
        pending.add();
        spawn([&] {
          this_fiber::yield();
          ++done;
          pending.done();
        }).detach();
      }
      pending.wait();
      CHECK(done == 20);
    }
    pending.add(1);
    CHECK_FALSE(pending.wait_for(1ms));
    CHECK(pending.pending() == 1);
    pending.done();
    CHECK(pending.wait_for(1ms));
  });
}

TEST_CASE("a wait group lets all go on that wait for it", "[wait_group]") {
  over_workers([] {
    wait_group pending(1);
    std::vector<fiber<>> all;
    for (int i = 0; i < 3; ++i) all.push_back(spawn([&] { pending.wait(); }));
    let_others_wait();
    pending.done();
    for (auto& one : all) CHECK(one.join_for(10s));
  });
}

TEST_CASE("call_once calls once, and the others wait for its end", "[once]") {
  over_workers([] {
    once_flag flag;
    std::atomic<int> calls{0};
    std::atomic<bool> finished{false};
    std::atomic<bool> early{false};
    std::vector<fiber<>> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(spawn([&] {
        call_once(
            flag,
            [&](int by) {
              calls += by;
              this_fiber::sleep_for(2ms);
              finished = true;
            },
            1);
        if (!finished) early = true;
      }));
    }
    for (auto& one : all) one.join();
    CHECK(calls == 1);
    CHECK_FALSE(early);
  });
}

TEST_CASE("a call_once that throws is tried again by the next", "[once]") {
  over_workers([] {
    once_flag flag;
    std::atomic<int> calls{0};
    std::atomic<int> thrown{0};
    std::vector<fiber<>> all;
    for (int i = 0; i < 6; ++i) {
      all.push_back(spawn([&] {
        try {
          call_once(flag, [&] {
            const int mine = ++calls;
            this_fiber::sleep_for(1ms);
            if (mine < 3) throw std::runtime_error("not yet");
          });
        } catch (const std::runtime_error&) {
          ++thrown;
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK(calls == 3);
    CHECK(thrown == 2);
  });
}

TEST_CASE("a manual-reset event lets everyone through until it is reset", "[event]") {
  over_workers([] {
    event happened;
    std::atomic<int> passed{0};
    std::vector<fiber<>> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(spawn([&] {
        happened.wait();
        ++passed;
      }));
    }
    let_others_wait();
    CHECK(passed == 0);
    happened.set();
    happened.reset();  // those who waited pass nevertheless
    for (auto& one : all) one.join();
    CHECK(passed == 4);
    CHECK_FALSE(happened.is_set());
    CHECK_FALSE(happened.wait_for(1ms));
    happened.set();
    CHECK(happened.try_wait());
    CHECK(happened.try_wait());
  });
}

TEST_CASE("a manual-reset event stays set though somebody waited for it", "[event]") {
  over_workers([] {
    event happened;
    auto waits = spawn([&] { happened.wait(); });
    let_others_wait();
    happened.set();
    waits.join();
    CHECK(happened.is_set());
    CHECK(happened.wait_for(0s));
    CHECK(happened.try_wait());
  });
}

TEST_CASE("an auto-reset event lets one through for each set", "[event]") {
  over_workers([] {
    event next(event::auto_reset);
    std::atomic<int> passed{0};
    std::vector<fiber<>> all;
    for (int i = 0; i < 3; ++i) {
      all.push_back(spawn([&] {
        next.wait();
        ++passed;
      }));
    }
    let_others_wait();
    for (int i = 1; i <= 3; ++i) {
      next.set();
      let_others_wait();
      CHECK(passed == i);
    }
    next.set();
    next.set();
    CHECK(next.try_wait());
    CHECK_FALSE(next.try_wait());
    for (auto& one : all) one.join();
  });
}

TEST_CASE("an auto-reset event that lets one through is not set by that", "[event]") {
  over_workers([] {
    event next(event::auto_reset);
    auto waits = spawn([&] { next.wait(); });
    let_others_wait();
    next.set();
    CHECK_FALSE(next.is_set());
    waits.join();
    CHECK_FALSE(next.try_wait());
  });
}

TEST_CASE("who waits for any of these can be cancelled", "[latch][barrier][event][wait_group]") {
  over_workers([] {
    latch l(1);
    barrier<> b(2);
    event e;
    wait_group g(1);
    std::vector<fiber<>> all;
    all.push_back(spawn([&] { l.wait(); }));
    all.push_back(spawn([&] { b.arrive_and_wait(); }));
    all.push_back(spawn([&] { e.wait(); }));
    all.push_back(spawn([&] { g.wait(); }));
    let_others_wait();
    for (auto& one : all) {
      one.cancel();
      CHECK_THROWS_AS(one.join(), cancelled);
    }
  });
}

TEST_CASE("plain threads and fibers gather", "[latch][barrier]") {
  runtime one({.workers = 1});
  barrier<> meeting(3);
  latch done(3);
  const auto party = [&] {
    for (int i = 0; i < 50; ++i) meeting.arrive_and_wait();
    done.count_down();
  };
  auto a = one.spawn(party);
  auto b = one.spawn(party);
  std::thread c(party);
  done.wait();
  c.join();
  a.join();
  b.join();
}

TEST_CASE("counting too far ends the program", "[latch][barrier][wait_group]") {
  // With a message that names the fiber.
  const auto ends = [](auto body) {
    const child_result ended = run_in_child([&] {
      run([&] {
        this_fiber::set_name("culprit");
        body();
      });
    });
    return ended.signal == SIGABRT && ended.err.find("'culprit'") != std::string::npos;
  };
  CHECK(ends([] { latch(-1).count_down(0); }));
  CHECK(ends([] { latch(1).count_down(-1); }));
  CHECK(ends([] { (void)latch(1).arrive_and_wait(2); }));
  CHECK(ends([] { (void)barrier<>(-1).arrive(); }));
  CHECK(ends([] { (void)barrier<>(1).arrive(0); }));
  CHECK(ends([] { (void)wait_group(-1).pending(); }));
  CHECK(ends([] { latch(1).count_down(2); }));
  CHECK(ends([] { wait_group().done(); }));
  CHECK(ends([] { (void)barrier<>(1).arrive(2); }));
}

}  // namespace
