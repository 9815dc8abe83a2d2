// Waits of a cancelled fiber end before they begin. One that waits again, whatever it is told, must hold up
// neither the others of its worker nor the end of its runtime.
#include "support/going_on.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <signal.h>

#include <atomic>
#include <string>

using namespace std::chrono_literals;
namespace test = zsync::test;

namespace {

void waits_for_ever() {
  for (;;) {
    try {
      zsync::this_fiber::sleep_for(1h);
    } catch (...) {
    }
  }
}

}  // namespace

TEST_CASE("a cancelled fiber that goes on waiting leaves turns to others", "[cancel]") {
  test::matrix(test::axes{.policies = true}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          test::go_on_beside_others([] { zsync::this_fiber::sleep_for(1h); });
          test::go_on_beside_others([] { zsync::this_fiber::sleep_for(0s); });
          test::go_on_beside_others([] { zsync::this_fiber::park(); });
          test::go_on_beside_others([] { zsync::this_fiber::cancellation_point(); });
          test::go_on_beside_others([] { zsync::blocking([] {}); });
          zsync::fiber longer([] { zsync::this_fiber::sleep_for(1h); });
          test::go_on_beside_others([&] { longer.join(); });
          test::go_on_beside_others([] {
            zsync::task_group group;
            group.spawn([] { zsync::this_fiber::sleep_for(1h); });
            group.wait();
          });
        },
        options);
  });
}

TEST_CASE("the end of a runtime does not wait longer for a fiber that goes on, though cancelled",
          "[runtime]") {
  test::matrix([](const zsync::runtime_options& options) {
    auto chosen = options;
    chosen.shutdown_grace = 50ms;
    const auto ends_with_a_list = [](const test::child_result& child) {
      CHECK(child.signal == SIGABRT);
      CHECK(child.err.find("within its grace time") != std::string::npos);
      CHECK(child.err.find("waits_for_ever") != std::string::npos);
    };
    ends_with_a_list(test::run_in_child([&] {
      zsync::run([] { zsync::spawn({.name = "waits_for_ever", .worker = 0}, waits_for_ever).detach(); },
                 chosen);
    }));
    ends_with_a_list(test::run_in_child([&] {
      zsync::loop own(chosen);
      own.spawn({.name = "waits_for_ever"}, waits_for_ever).detach();
      own.poll();
    }));
    zsync::loop own(chosen);
    std::atomic<bool> over{false};
    own.post([&] {
      while (!over) {
        try {
          zsync::this_fiber::sleep_for(1h);
        } catch (...) {
        }
      }
    });
    own.poll();
    CHECK_FALSE(own.shutdown(10ms));
    over = true;
  });
}
