#include <zsync/sched/helper_pool.hpp>

#include "support/catch.hpp"

#include <zsync/sched/scope.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::detail::helper_job;
using zsync::detail::helper_pool;
using zsync::detail::wait;
using zsync::detail::wake_cause;

namespace {

struct job final : helper_job {
  explicit job(std::vector<int>* into = nullptr, int number_ = 0) : order(into), number(number_) {}

  // False: it has not come in a long time.
  bool done() {
    const zsync::deadline_scope enough(10s);
    return wait_done(wait::cancellable) == wake_cause::notified;
  }

  std::vector<int>* order;
  int number;

 private:
  void call() noexcept override {
    if (order != nullptr) order->push_back(number);
  }
};

struct blocker final : helper_job {
  void open() {
    open_ = true;
    open_.notify_all();
  }
  std::atomic<bool> runs{false};

 private:
  void call() noexcept override {
    runs = true;
    runs.notify_all();
    open_.wait(false);
  }

  std::atomic<bool> open_{false};
};

// A pool all of whose helpers are busy, until one of them is freed.
class busy_pool {
 public:
  busy_pool() {
    for (blocker& one : blockers_) pool.submit(one);
    for (blocker& one : blockers_) one.runs.wait(false);
  }
  ~busy_pool() {
    for (blocker& one : blockers_) {
      one.open();
      one.wait_done(wait::uncancellable);
    }
  }
  void free_one() { blockers_.front().open(); }

  helper_pool pool{"test", many};

 private:
  static constexpr std::size_t many = 64;
  std::vector<blocker> blockers_{many};
};

}  // namespace

TEST_CASE("jobs that are taken back leave the others in the order in which they came", "[helper]") {
  for (int taken = 0; taken < 8; ++taken) {
    std::vector<int> order;  // one helper at a time writes it
    busy_pool busy;
    std::vector<std::unique_ptr<job>> jobs;
    for (int i = 0; i < 3; ++i) {
      jobs.push_back(std::make_unique<job>(&order, i));
      busy.pool.submit(*jobs.back());
    }
    std::vector<int> expected;
    for (int i = 2; i >= 0; --i) {
      if ((taken & 1 << i) == 0) {
        expected.insert(expected.begin(), i);
      } else {
        CHECK(busy.pool.take_back(*jobs[static_cast<std::size_t>(i)]));
        CHECK_FALSE(busy.pool.take_back(*jobs[static_cast<std::size_t>(i)]));
      }
    }
    job last(&order, 3);
    busy.pool.submit(last);
    expected.push_back(3);
    busy.free_one();
    REQUIRE(last.done());
    CHECK(order == expected);
    CHECK_FALSE(busy.pool.take_back(last));
  }
}

namespace {

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

}  // namespace

// Whoever counts them as queued starts a thread for each further job.
TEST_CASE("jobs that are taken back leave nothing behind that would ask for more helpers", "[helper]") {
  if (!std::filesystem::exists("/proc/self/task")) return;
  const std::size_t before = threads_of_this_process();
  helper_pool pool("test", 64);
  int taken = 0;
  for (int i = 0; i < 500 && taken < 60; ++i) {
    job one;
    pool.submit(one);
    if (pool.take_back(one)) {
      ++taken;
    } else {
      REQUIRE(one.done());
    }
    std::this_thread::sleep_for(500us);  // for the helper to be idle again
  }
  CHECK(threads_of_this_process() <= before + 20);
}
