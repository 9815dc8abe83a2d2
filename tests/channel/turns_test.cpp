// Fibers whose operations never have to wait, beside one that waits for a timer on the same worker.
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

namespace {

using namespace std::chrono_literals;
using namespace zsync;
namespace test = zsync::test;

// Repeats `step` until a neighbour, who sleeps first, has said so. False: he never came to it.
template <class F>
bool a_neighbour_has_its_turn_beside(F step) {
  bool heard = false;
  fiber neighbour([&] {
    this_fiber::sleep_for(1ms);
    heard = true;
  });
  this_fiber::yield();
  const auto patience = std::chrono::steady_clock::now() + 20s;
  while (!heard && std::chrono::steady_clock::now() < patience) step();
  const bool in_time = heard;
  neighbour.join();
  return in_time;
}

// On one worker.
void with_one_worker(const std::function<void()>& body) {
  test::matrix({.workers = false, .backends = false},
               [&](const runtime_options& options) { run(body, options); });
}

TEST_CASE("who always finds room and messages leaves turns to others", "[channel][turns]") {
  with_one_worker([] {
    auto [tx, rx] = channel<int>(8);
    CHECK(a_neighbour_has_its_turn_beside([&tx = tx, &rx = rx] {
      tx.send(1);
      (void)rx.recv();
    }));
  });
}

TEST_CASE("who sends to, or receives from, a closed channel leaves turns to others", "[channel][turns]") {
  with_one_worker([] {
    auto [tx, rx] = channel<int>(1);
    rx.close();
    CHECK(a_neighbour_has_its_turn_beside([&tx = tx] { tx.send(1); }));
    CHECK(a_neighbour_has_its_turn_beside([&rx = rx] { (void)rx.recv(); }));
  });
}

TEST_CASE("who follows what is published leaves turns to others", "[channel][turns]") {
  with_one_worker([] {
    auto [tx, rx] = broadcast<int>(4);
    CHECK(a_neighbour_has_its_turn_beside([&tx = tx, &rx = rx] {
      tx.send(1);
      (void)rx.recv();
    }));
    tx.close();
    CHECK(a_neighbour_has_its_turn_beside([&rx = rx] { (void)rx.recv(); }));
  });
}

TEST_CASE("what never waits gives no turn, so a lock of threads may be held", "[channel][turns]") {
  with_one_worker([] {
    auto [endless, ignored] = unbounded_channel<int>();
    auto [news, readers] = broadcast<int>(4);
    auto [newest, observers] = watch(0);
    std::mutex of_threads;  // who waits for it holds up its worker, and everybody on it
    const auto send = [&, &to_all = endless, &to_each = news, &value = newest] {
      for (int i = 0; i < 600; ++i) {
        const std::lock_guard hold(of_threads);
        to_all.send(i);
        to_each.send(i);
        value.send(i);
      }
    };
    fiber one(send);
    fiber two(send);
    one.join();
    two.join();
    CHECK(ignored.size() == 1200);
  });
}

TEST_CASE("a select that never has to wait leaves turns to others", "[channel][turns]") {
  with_one_worker([] {
    auto [tx, rx] = channel<int>(1);
    auto [other_tx, other_rx] = channel<int>(1);
    int idle = 0;
    CHECK(a_neighbour_has_its_turn_beside(
        [&, &rx = rx] { select(on_recv(rx, [](std::optional<int>) {}), otherwise([&] { ++idle; })); }));
    CHECK(idle > 0);
    tx.close();
    CHECK(a_neighbour_has_its_turn_beside([&rx = rx, &other_rx = other_rx] {
      select(on_recv(rx, [](std::optional<int>) {}), on_recv(other_rx, [](std::optional<int>) {}));
    }));
  });
}

TEST_CASE("an interval that lags behind leaves turns to others, and is cancelled", "[interval][turns]") {
  with_one_worker([] {
    interval late(1ns);
    CHECK(a_neighbour_has_its_turn_beside([&] { late.tick(); }));
    fiber endless([&] {
      for (;;) late.tick();
    });
    this_fiber::yield();
    endless.cancel();
    CHECK_THROWS_AS(endless.join(), cancelled);
  });
}

}  // namespace
