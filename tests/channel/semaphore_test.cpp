#include "meeting.hpp"
#include "support/subprocess.hpp"

#include <zsync/channel/semaphore.hpp>

#include <atomic>
#include <csignal>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a semaphore lets in as many as it has permits", "[semaphore]") {
  over_workers([] {
    counting_semaphore<8> permits(3);
    std::atomic<int> inside{0};
    std::atomic<bool> met{false};
    std::atomic<bool> too_many{false};
    std::vector<fiber<>> all;
    for (int i = 0; i < 10; ++i) {
      all.push_back(spawn([&] {
        for (int k = 0; k < 100; ++k) {
          permits.acquire();
          const int now = ++inside;
          if (now == 3) met = true;
          if (now > 3) too_many = true;
          do this_fiber::yield();
          while (!met);  // for ever, if three are not let in together
          --inside;
          permits.release();
        }
      }));
    }
    for (auto& one : all) one.join();
    CHECK_FALSE(too_many);
    for (int i = 0; i < 3; ++i) CHECK(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire());
  });
}

TEST_CASE("a permit is given back when its guard goes, by an exception too", "[semaphore]") {
  over_workers([] {
    counting_semaphore<> permits(1);
    {
      const permit held(permits);
      CHECK_FALSE(permits.try_acquire());
    }
    CHECK_THROWS_AS(
        [&] {
          const permit held(permits);
          throw 1;
        }(),
        int);
    CHECK(permits.try_acquire());
  });
}

TEST_CASE("permits go to the longest waiting, as many as are released", "[semaphore]") {
  over_workers([] {
    counting_semaphore<> permits(0);
    std::atomic<int> served{0};
    std::vector<fiber<int>> all;
    for (int i = 0; i < 5; ++i) {
      all.push_back(spawn([&] {
        permits.acquire();
        return served++;
      }));
      let_others_wait();
    }
    permits.release(2);
    let_others_wait();
    CHECK(served == 2);
    CHECK_FALSE(permits.try_acquire());
    permits.release(4);
    for (auto& one : all) one.join();
    CHECK(permits.try_acquire());
    CHECK_FALSE(permits.try_acquire());
  });
}

TEST_CASE("those who are let in together go on in the order in which they came", "[semaphore]") {
  run(
      [] {
        counting_semaphore<> permits(0);
        std::atomic<int> gone_on{0};
        std::vector<fiber<int>> all;
        for (int i = 0; i < 3; ++i) {
          all.push_back(spawn([&] {
            permits.acquire();
            return gone_on++;
          }));
          let_others_wait();
        }
        permits.release(3);
        for (int i = 0; i < 3; ++i) CHECK(all[static_cast<std::size_t>(i)].join() == i);
      },
      {.workers = 1});
}

TEST_CASE("who is cancelled or out of time takes no permit", "[semaphore]") {
  over_workers([] {
    binary_semaphore permit(0);
    CHECK_FALSE(permit.try_acquire_for(2ms));
    CHECK_FALSE(permit.try_acquire_until(clock::now() + 1ms));
    auto waits = spawn([&] { permit.acquire(); });
    let_others_wait();
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
    permit.release();
    CHECK(permit.try_acquire_for(2ms));
    static_assert(binary_semaphore::max() == 1);
  });
}

TEST_CASE("a permit is not lost between a release and a timeout", "[semaphore]") {
  over_workers([] {
    counting_semaphore<> permits(0);
    std::atomic<int> got{0};
    std::atomic<bool> stop{false};
    std::vector<fiber<>> all;
    for (std::uint64_t i = 0; i < 4; ++i) {
      all.push_back(spawn([&, i] {
        dice d(i);
        while (!stop) {
          if (permits.try_acquire_for(std::chrono::microseconds(d.roll(100)))) ++got;
        }
      }));
    }
    for (int i = 0; i < 1000; ++i) {
      permits.release();
      if (i % 8 == 0) this_fiber::sleep_for(10us);
    }
    const auto until = clock::now() + 10s;
    while (got < 1000 && clock::now() < until) this_fiber::sleep_for(100us);
    stop = true;
    for (auto& one : all) one.join();
    CHECK(got == 1000);
  });
}

TEST_CASE("a semaphore released beyond its maximum ends the program", "[semaphore]") {
  const child_result ended = run_in_child([] { binary_semaphore(1).release(); });
  CHECK(ended.signal == SIGABRT);
  const auto ends_with = [](std::ptrdiff_t permits) {
    const child_result made = run_in_child([&] {
      run([&] {
        this_fiber::set_name("culprit");
        (void)counting_semaphore<3>(permits).try_acquire();
      });
    });
    return made.signal == SIGABRT && made.err.find("'culprit'") != std::string::npos;
  };
  CHECK(ends_with(-1));
  CHECK(ends_with(4));
  CHECK_FALSE(ends_with(3));
}

}  // namespace
