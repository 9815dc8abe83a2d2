// A runtime that ends cancels all its fibers, wherever they are by then.
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/timer/clock.hpp>

#include <atomic>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

void wait_for(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::sleep_for(100us);
}

// As code that computes, or that blocks its worker.
void hold_worker_until(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

// Stands still, but for one who has looked so often that it must be waiting for its time to pass.
class patient_time final : public zsync::detail::time_source {
 public:
  patient_time() : before_(zsync::detail::set_time_source(this)) {}
  ~patient_time() { zsync::detail::set_time_source(before_); }
  patient_time(const patient_time&) = delete;
  patient_time& operator=(const patient_time&) = delete;

  zsync::clock::time_point now() noexcept override { return ++looks_ < looks_max ? start_ : start_ + 1h; }
  [[nodiscard]] bool passed() const noexcept { return looks_ >= looks_max; }

 private:
  static constexpr int looks_max = 100;

  int looks_ = 0;
  zsync::clock::time_point start_ = zsync::clock::now();
  zsync::detail::time_source* before_;
};

void sleep_until_cancelled(std::atomic<bool>& cancelled) {
  try {
    this_fiber::sleep_for(1h);
  } catch (const zsync::cancelled&) {
    cancelled = true;
  }
}

}  // namespace

TEST_CASE("a fiber that begins while the runtime ends begins cancelled", "[runtime]") {
  test::matrix({.policies = true}, [](const zsync::runtime_options& options) {
    std::atomic<bool> parked{false};
    std::atomic<bool> late_cancelled{false};
    zsync::fiber<void> late;
    zsync::runtime own(options);
    auto one = own.spawn([&] {
      parked = true;
      try {
        this_fiber::park();
      } catch (const zsync::cancelled&) {
        late = zsync::spawn([&] { sleep_until_cancelled(late_cancelled); });
      }
    });
    wait_for(parked);
    CHECK(own.shutdown(20s));
    CHECK(late_cancelled);
    one.join();
    late.cancel();
    late.join();
  });
}

// Whoever ends a runtime looks now and then by itself, so nothing but time was lost when nobody told it.
TEST_CASE("who ends a runtime is told of the end of its last fiber", "[runtime]") {
  test::matrix({.policies = true}, [](const zsync::runtime_options& options) {
    std::atomic<bool> parked{false};
    zsync::runtime own(options);
    own.post([&] {
      parked = true;
      try {
        this_fiber::park();
      } catch (const zsync::cancelled&) {
        std::this_thread::sleep_for(20ms);  // until somebody waits for it
      }
    });
    wait_for(parked);
    const patient_time time;  // of this thread alone
    CHECK(own.shutdown(1h));
    CHECK_FALSE(time.passed());
  });
}

// The sweep of the worker that it has left does not find it any more, and that of the worker to which it has
// come was over before.
TEST_CASE("a fiber that moves between two workers' sweeps is cancelled all the same", "[runtime]") {
  test::matrix({.workers = false}, [](const zsync::runtime_options& given) {
    zsync::runtime_options options = given;
    options.workers = 2;
    std::atomic<bool> held{false};
    std::atomic<bool> started{false};
    std::atomic<bool> release_first{false};
    std::atomic<bool> release_second{false};
    std::atomic<bool> moved{false};
    std::atomic<bool> cancelled{false};
    zsync::fiber<void> mover;
    zsync::runtime own(options);
    // The first worker is held, so that it looks for work to steal only once the runtime is ending.
    auto first = own.spawn({.worker = 0}, [&] {
      held = true;
      hold_worker_until(release_first);
    });
    wait_for(held);
    auto second = own.spawn({.worker = 1}, [&] {
      mover = zsync::spawn({.policy = zsync::scheduling::work_stealing}, [&] {
        started = true;
        this_fiber::yield();
        moved = true;
        sleep_until_cancelled(cancelled);
      });
      while (!started) this_fiber::yield();
      hold_worker_until(release_second);
    });
    wait_for(started);
    bool ended = false;
    std::thread ending([&] { ended = own.shutdown(20s); });
    std::this_thread::sleep_for(20ms);  // until the runtime is ending
    release_first = true;
    wait_for(moved);
    release_second = true;
    ending.join();
    CHECK(ended);
    CHECK(cancelled);
    mover.cancel();
    mover.join();
    first.join();
    second.join();
  });
}
