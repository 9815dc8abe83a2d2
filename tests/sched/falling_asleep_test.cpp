// What comes from outside while a worker is about to sleep.
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>
#include <zsync/timer/clock.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

// The time as it is, but a millisecond passes with each look at it, so that spinning for work ends with the
// second one. At the n-th look from now on something happens: at a step of the worker's that no other thread
// could meet for sure.
class eventful_time final : public zsync::detail::time_source {
 public:
  void at_look(int n, std::function<void()> what) {
    looks_left_ = n;
    what_ = std::move(what);
  }
  [[nodiscard]] bool happened() const noexcept { return looks_left_ <= 0; }

  zsync::clock::time_point now() noexcept override {
    if (--looks_left_ == 0) {
      const zsync::detail::outside_of_fibers here;  // as another thread would
      what_();
    }
    ahead_ += 1ms;
    return zsync::clock::time_point(std::chrono::steady_clock::now().time_since_epoch()) + ahead_;
  }

 private:
  std::atomic<int> looks_left_{0};
  std::function<void()> what_;
  std::chrono::milliseconds ahead_{0};
};

bool soon(const std::atomic<bool>& flag) {
  for (int i = 0; i < 2000 && !flag; ++i) std::this_thread::sleep_for(1ms);
  return flag;
}

}  // namespace

// What comes between the worker's last look for it and its sleep once waited until something else woke the
// worker. The worker looks at the clock right there, if it has been spinning, which it does for a while after
// another thread has woken it.
TEST_CASE("whatever comes from outside while the worker falls asleep runs at once", "[sleep]") {
  test::matrix({.workers = false}, [](const zsync::runtime_options& given) {
    zsync::runtime_options options = given;
    options.spin_max = 10s;  // so that any wake-up was soon enough to spin for the next
    std::atomic<bool> parked{false};
    std::atomic<bool> came{false};
    std::atomic<bool> stop{false};
    zsync::runtime own(options);
    eventful_time time;
    own.block_on([&] { zsync::detail::set_time_source(&time); });
    zsync::waker wake_other;
    auto other = own.spawn([&] {
      wake_other = this_fiber::get_waker();
      for (parked = true; !stop; came = true) this_fiber::park();
    });
    REQUIRE(soon(parked));
    const std::function<void()> events[] = {
        [&] { own.post([&] { came = true; }); },
        [&] { own.spawn({.worker = 0}, [&] { came = true; }).detach(); },
        [&] { wake_other.wake(); },
        [&] { own.call_after(0ns, [&] { came = true; }).detach(); },
    };
    for (const auto& event : events) {
      for (int look = 1; look <= 4; ++look) {
        parked = came = false;
        zsync::waker wake;
        auto sleeper = own.spawn([&] {
          wake = this_fiber::get_waker();
          parked = true;
          this_fiber::park();
          time.at_look(look, event);
        });
        REQUIRE(soon(parked));
        std::this_thread::sleep_for(200us);  // so that it sleeps, and is woken by another thread
        wake.wake();
        sleeper.join();
        // Looks that do not come because the worker sleeps already come now.
        for (int i = 0; i < 20 && !time.happened(); ++i) std::this_thread::sleep_for(50us);
        while (!time.happened()) own.block_on([] {});
        CHECK(soon(came));
        own.block_on([] {});  // wakes it in any case
      }
    }
    stop = true;
    wake_other.wake();
    other.join();
    own.block_on([] { zsync::detail::set_time_source(nullptr); });
  });
}
