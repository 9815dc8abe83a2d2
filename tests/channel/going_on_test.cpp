#include "support/going_on.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/condition_variable_any.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/future.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/channel/on_channel.hpp>
#include <zsync/channel/promise.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/sched/runtime.hpp>

#include <mutex>
#include <optional>
#include <vector>

namespace test = zsync::test;

TEST_CASE("a cancelled fiber that goes on waiting for others leaves turns to others", "[cancel]") {
  test::matrix(test::axes{.policies = true}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto ends = zsync::channel<int>(0);
          auto& tx = ends.first;
          auto& rx = ends.second;
          test::go_on_beside_others([&] { (void)rx.recv(); });
          test::go_on_beside_others([&] { tx.send(1); });
          test::go_on_beside_others([&] {
            zsync::select(zsync::on_recv(rx, [](const std::optional<int>&) {}), zsync::on_send(tx, 1, [] {}));
          });
          zsync::promise<int> promised;
          const auto future = promised.get_future();
          test::go_on_beside_others([&] { future.wait(); });
          zsync::counting_semaphore<> none(0);
          test::go_on_beside_others([&] { none.acquire(); });
          zsync::mutex lock;
          zsync::condition_variable never;
          test::go_on_beside_others([&] {
            std::unique_lock hold(lock);
            never.wait(hold);
          });
        },
        options);
  });
}

TEST_CASE("who is cancelled gives its turn with the lock of a condition released", "[cancel]") {
  test::matrix({.workers = false, .backends = false}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          std::mutex of_threads;  // who waits for it holds up its worker, and everybody on it
          zsync::condition_variable_any never;
          bool had_it = false;
          zsync::fiber other([&] {
            const std::lock_guard hold(of_threads);
            had_it = true;
          });
          zsync::fiber waits([&] {
            std::unique_lock hold(of_threads);
            never.wait(hold);
          });
          waits.cancel();
          CHECK_THROWS_AS(waits.join(), zsync::cancelled);
          other.join();
          CHECK(had_it);
        },
        options);
  });
}

TEST_CASE("of several that are cancelled at the same object none holds up the others", "[cancel]") {
  test::matrix(test::axes{.policies = true}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          zsync::event never;
          zsync::counting_semaphore<> none(0);
          auto ends = zsync::channel<int>(0);
          std::vector<zsync::fiber<>> waiting;
          for (int i = 0; i < 5; ++i) {
            waiting.emplace_back([&] { never.wait(); });
            waiting.emplace_back([&] { none.acquire(); });
            waiting.emplace_back([&] { (void)ends.second.recv(); });
          }
          zsync::this_fiber::yield();
          for (auto& each : waiting) each.cancel();
          for (auto& each : waiting) CHECK_THROWS_AS(each.join(), zsync::cancelled);
        },
        options);
  });
}
