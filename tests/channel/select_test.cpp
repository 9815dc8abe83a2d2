#include "meeting.hpp"

#include <zsync/channel/async.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/oneshot.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/sched/scope.hpp>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a select does the one case that can go on, and tells which", "[select]") {
  over_workers([] {
    auto [tx1, rx1] = channel<int>(1);
    auto [tx2, rx2] = channel<std::string>(1);
    tx2.send("hello");
    std::string got;
    int calls = 0;
    const std::size_t fired =
        select(on_recv(rx1, [&](std::optional<int>) { ++calls; }),
               on_recv(rx2, [&](const std::optional<std::string>& m) { got = m.value_or("?"); }),
               after(10s, [&] { ++calls; }));
    CHECK(fired == 1);
    CHECK(got == "hello");
    CHECK(calls == 0);
    CHECK(rx2.empty());
  });
}

TEST_CASE("a select waits until a case can go on", "[select]") {
  over_workers([] {
    auto [tx1, rx1] = channel<int>(0);
    auto [tx2, rx2] = channel<int>(0);
    auto producer = spawn([tx = tx2] {
      this_fiber::sleep_for(2ms);
      return tx.send(7);
    });
    int got = 0;
    CHECK(select(on_recv(rx1, [&](std::optional<int> m) { got = -*m; }),
                 on_recv(rx2, [&](std::optional<int> m) { got = *m; })) == 1);
    CHECK(got == 7);
    CHECK(producer.join());
    auto consumer = spawn([rx = rx1] {
      this_fiber::sleep_for(2ms);
      return rx.recv();
    });
    bool sent = false;
    CHECK(select(on_recv(rx2, [&](std::optional<int>) { got = 0; }), on_send(tx1, 8, [&] { sent = true; })) ==
          1);
    CHECK(sent);
    CHECK(consumer.join() == 8);
    CHECK(got == 7);
  });
}

TEST_CASE("a select that waits to send to a full channel is served by the next receive", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    tx.send(1);
    auto producer = spawn([tx = tx] {
      bool sent = false;
      select(on_send(tx, 2, [&] { sent = true; }));
      return sent;
    });
    let_others_wait();
    CHECK(rx.recv() == 1);
    CHECK(rx.size() == 1);
    CHECK(producer.join());
    CHECK(rx.recv() == 2);
  });
}

TEST_CASE("a case that did not fire leaves its message untouched", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<std::unique_ptr<int>>(0);
    auto message = std::make_unique<int>(1);
    CHECK(select(on_send(tx, std::move(message), [] {}), after(2ms, [] {})) == 1);
    REQUIRE(message);
    CHECK(select(on_send(tx, std::move(message), [] {}), otherwise([] {})) == 1);
    REQUIRE(message);
    rx.close();
    std::optional<bool> sent;
    CHECK(select(on_send(tx, std::move(message), [&](bool s) { sent = s; }), otherwise([] {})) == 0);
    CHECK(sent == false);
    REQUIRE(message);
    bool called = false;
    CHECK(select(on_send(tx, std::move(message), [&] { called = true; })) == 0);
    CHECK_FALSE(called);
    CHECK(message);
  });
}

TEST_CASE("otherwise fires only if nothing else can go on", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    int which = 0;
    CHECK(select(on_recv(rx, [&](std::optional<int>) { which = 1; }), otherwise([&] { which = 2; })) == 1);
    CHECK(which == 2);
    tx.send(3);
    CHECK(select(otherwise([&] { which = 2; }), on_recv(rx, [&](std::optional<int>) { which = 1; })) == 1);
    CHECK(which == 1);
  });
}

TEST_CASE("otherwise wins neither over a channel that is closed nor over a receiver that waits", "[select]") {
  over_workers([] {
    auto [tx1, rx1] = channel<int>(1);
    tx1.close();
    CHECK(select(otherwise([] {}), on_recv(rx1, [](std::optional<int>) {})) == 1);
    auto [tx2, rx2] = channel<int>(0);
    auto consumer = spawn([rx = rx2] { return rx.recv(); });
    let_others_wait();
    CHECK(select(otherwise([] {}), on_send(tx2, 3, [] {})) == 1);
    tx2.close();
    CHECK(consumer.join() == 3);
  });
}

TEST_CASE("the earliest of several timers fires", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    const auto begin = clock::now();
    CHECK(select(after(10s, [] {}), on_recv(rx, [](std::optional<int>) {}), after(3ms, [] {}),
                 after(5s, [] {})) == 2);
    CHECK(clock::now() - begin >= 3ms);
    CHECK(clock::now() - begin < 4s);
  });
}

TEST_CASE("a closed channel can always go on", "[select]") {
  over_workers([] {
    auto [tx1, rx1] = channel<int>(1);
    auto [tx2, rx2] = channel<int>(0);
    bool closed = false;
    auto closer = spawn([tx = tx2] {
      this_fiber::sleep_for(2ms);
      tx.close();
    });
    CHECK(select(on_recv(rx1, [](std::optional<int>) {}),
                 on_recv(rx2, [&](std::optional<int> m) { closed = !m; })) == 1);
    CHECK(closed);
    closer.join();
    rx1.close();
    CHECK(select(on_send(tx1, 1, [](bool) {}), after(10s, [] {})) == 0);
  });
}

TEST_CASE("a send that a select waits for is refused when the channel closes", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    auto closer = spawn([rx = rx] {
      let_others_wait();
      rx.close();
    });
    std::optional<bool> sent;
    CHECK(select(on_send(tx, 1, [&](bool s) { sent = s; })) == 0);
    CHECK(sent == false);
    closer.join();

    auto [tx2, rx2] = channel<int>(0);
    auto second_closer = spawn([rx = rx2] {
      let_others_wait();
      rx.close();
    });
    bool called = false;
    CHECK(select(on_send(tx2, 1, [&] { called = true; })) == 0);
    CHECK_FALSE(called);
    second_closer.join();
  });
}

// It happens while the select tries its cases, so after some of them, and before it waits for any.
class meanwhile final : public detail::select_case {
 public:
  explicit meanwhile(std::function<void()> what) : what_(std::move(what)) {}
  bool attempt() override {
    if (what_) std::exchange(what_, nullptr)();
    return false;
  }
  bool enlist(detail::waiter& /*place*/) noexcept override { return true; }
  void run() override {}

 private:
  std::function<void()> what_;
};

TEST_CASE("a select meets who begins to wait after it has looked and before it waits", "[select]") {
  over_workers([] {
    for (int i = 0; i < 12; ++i) {  // each begins with any of its cases
      auto [tx, rx] = channel<int>(0);
      fiber<bool> producer;
      meanwhile begins_to_send([&, tx = tx] {
        producer = spawn([tx] { return tx.send(7); });
        let_others_wait();
      });
      int got = 0;
      CHECK(select(on_recv(rx, [&](std::optional<int> m) { got = m.value_or(-1); }), begins_to_send,
                   after(5s, [] {})) == 0);
      CHECK(got == 7);
      rx.close();

      auto [tx2, rx2] = channel<int>(0);
      fiber<std::optional<int>> consumer;
      meanwhile begins_to_receive([&, rx = rx2] {
        consumer = spawn([rx] { return rx.recv(); });
        let_others_wait();
      });
      CHECK(select(on_send(tx2, 8, [] {}), begins_to_receive, after(5s, [] {})) == 0);
      tx2.close();
      CHECK(producer.join());
      CHECK(consumer.join() == 8);
    }
  });
}

TEST_CASE("a select does not meet itself", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    std::string what;
    CHECK(select(on_recv(rx, [&](std::optional<int>) { what = "received"; }),
                 on_send(tx, 1, [&] { what = "sent"; }), after(3ms, [&] { what = "nothing"; })) == 2);
    CHECK(what == "nothing");

    auto peer = spawn([tx = tx] { return tx.send(5); });
    int got = 0;
    CHECK(select(on_send(tx, 1, [] {}), on_recv(rx, [&](std::optional<int> m) { got = *m; }),
                 after(10s, [] {})) == 1);
    CHECK(got == 5);
    CHECK(peer.join());

    // Two that are ready for both meet each other.
    const auto both = [tx = tx, rx = rx](int mine) {
      int theirs = -1;
      select(on_send(tx, mine, [] {}), on_recv(rx, [&](std::optional<int> m) { theirs = *m; }));
      return theirs;
    };
    for (int i = 0; i < 200; ++i) {
      auto a = spawn(both, 1);
      auto b = spawn(both, 2);
      const int x = a.join();
      const int y = b.join();
      CHECK(((x == 2 && y == -1) || (x == -1 && y == 1)));
    }
  });
}

TEST_CASE("the same channel may stand in several cases", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    auto producer = spawn([tx = tx] {
      for (int i = 0; i < 200; ++i) tx.send(i);
    });
    std::array<int, 2> count{};
    for (int i = 0; i < 200; ++i) {
      int got = -1;
      const auto fired = select(on_recv(rx, [&](std::optional<int> m) { got = *m; }),
                                on_recv(rx, [&](std::optional<int> m) { got = *m; }));
      ++count[fired];
      if (got != i) FAIL_CHECK(got << " instead of " << i);
    }
    producer.join();
    CHECK(count[0] > 0);
    CHECK(count[1] > 0);
  });
}

TEST_CASE("of cases that are always ready none starves", "[select]") {
  over_workers([] {
    auto [tx1, rx1] = channel<int>(1);
    auto [tx2, rx2] = channel<int>(1);
    auto [tx3, rx3] = channel<int>(1);
    rx1.close();
    rx2.close();
    rx3.close();
    std::array<int, 3> count{};
    for (int i = 0; i < 3000; ++i) {
      ++count[select(on_recv(rx1, [](std::optional<int>) {}), on_recv(rx2, [](std::optional<int>) {}),
                     on_recv(rx3, [](std::optional<int>) {}))];
    }
    for (const int c : count) CHECK(c > 500);
  });
}

TEST_CASE("of cases that are always ready none starves on a plain thread either", "[select]") {
  auto [tx1, rx1] = channel<int>(1);
  auto [tx2, rx2] = channel<int>(1);
  rx1.close();
  rx2.close();
  std::array<int, 2> count{};
  for (int i = 0; i < 3000; ++i)
    ++count[select(on_recv(rx1, [](std::optional<int>) {}), on_recv(rx2, [](std::optional<int>) {}))];
  CHECK(count[0] > 0);
  CHECK(count[1] > 0);
}

TEST_CASE("a select waits for fibers and futures, and leaves their results to be fetched", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    auto worker = spawn([] {
      this_fiber::sleep_for(2ms);
      return 4;
    });
    CHECK(select(on_recv(rx, [](std::optional<int>) {}), on_join(worker, [] {})) == 1);
    CHECK(select(on_join(worker, [] {}), otherwise([] {})) == 0);
    CHECK(worker.join() == 4);

    promise<int> p;
    auto f = p.get_future();
    CHECK(select(on_future(f, [] {}), otherwise([] {})) == 1);
    auto setter = spawn([&] {
      this_fiber::sleep_for(2ms);
      p.set_value(5);
    });
    CHECK(select(on_recv(rx, [](std::optional<int>) {}), on_future(f, [] {})) == 1);
    CHECK(f.get() == 5);
    setter.join();
  });
}

TEST_CASE("there is no end of no fiber to select", "[select]") {
  const fiber<> none;
  CHECK_THROWS_AS(on_join(none, [] {}), std::system_error);
}

TEST_CASE("a cancelled or timed-out select takes nothing and leaves nothing behind", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    auto waits = spawn([rx = rx] { select(on_recv(rx, [](std::optional<int>) {})); });
    let_others_wait();
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
    {
      const deadline_scope scope(2ms);
      CHECK_THROWS_AS(select(on_recv(rx, [](std::optional<int>) {}), after(10s, [] {})), std::system_error);
    }
    CHECK(tx.try_send(1) == channel_status::full);
    auto producer = spawn([tx = tx] { return tx.send(2); });
    CHECK(rx.recv() == 2);
    CHECK(producer.join());
  });
}

TEST_CASE("a move that throws into a select's case loses nothing", "[select]") {
  run([] {
    auto [tx, rx] = channel<fragile>(0);
    auto [other_tx, other_rx] = channel<int>(0);
    auto consumer = spawn([rx = rx, other = other_rx] {
      int got = 0;
      select(on_recv(other, [](std::optional<int>) {}),
             on_recv(rx, [&](std::optional<fragile> m) { got = m.has_value() ? m->value : -1; }));
      return got;
    });
    let_others_wait();
    fragile message(3);
    fragile::moves_left = 0;
    CHECK_THROWS_AS(tx.send(std::move(message)), std::string);
    CHECK(message.value == 3);
    CHECK(tx.send(std::move(message)));
    CHECK(consumer.join() == 3);
  });
}

// What could go on is gone again, once, when the select comes to it.
class hesitant_case final : public detail::select_case {
 public:
  bool attempt() override { return ++attempts == 3; }
  bool enlist(detail::waiter& /*place*/) noexcept override { return false; }
  void run() override { attempts_when_fired = attempts; }

  int attempts = 0;
  int attempts_when_fired = 0;
};

TEST_CASE("a case that was ready for a moment only does not fire", "[select]") {
  over_workers([] {
    hesitant_case hesitant;
    CHECK(select(hesitant) == 0);
    CHECK(hesitant.attempts_when_fired == 3);
  });
}

TEST_CASE("sixteen cases wait without an allocation and fire one by one", "[select]") {
  over_workers([] {
    std::vector<sender<int>> tx;
    std::vector<receiver<int>> rx;
    for (int i = 0; i < 16; ++i) {
      auto [t, r] = channel<int>(0);
      tx.push_back(t);
      rx.push_back(r);
    }
    auto producer = spawn([&] {
      for (int i = 0; i < 160; ++i) tx[static_cast<std::size_t>(i % 16)].send(i);
    });
    int sum = 0;
    const auto add = [&](std::optional<int> m) { sum += *m; };
    for (int i = 0; i < 160; ++i) {
      const auto fired =
          select(on_recv(rx[0], add), on_recv(rx[1], add), on_recv(rx[2], add), on_recv(rx[3], add),
                 on_recv(rx[4], add), on_recv(rx[5], add), on_recv(rx[6], add), on_recv(rx[7], add),
                 on_recv(rx[8], add), on_recv(rx[9], add), on_recv(rx[10], add), on_recv(rx[11], add),
                 on_recv(rx[12], add), on_recv(rx[13], add), on_recv(rx[14], add), on_recv(rx[15], add));
      if (fired != static_cast<std::size_t>(i % 16)) FAIL_CHECK(fired << " fired for " << i);
    }
    producer.join();
    CHECK(sum == 159 * 80);
  });
}

TEST_CASE("plain threads select as well", "[select]") {
  auto [tx1, rx1] = channel<int>(0);
  auto [tx2, rx2] = channel<int>(0);
  runtime one({.workers = 1});
  auto p1 = one.spawn([tx = tx1] {
    for (int i = 0; i < 300; ++i) tx.send(1);
  });
  std::thread p2([tx = tx2] {
    for (int i = 0; i < 300; ++i) tx.send(1000);
  });
  int sum = 0;
  const auto add = [&](std::optional<int> m) { sum += *m; };
  for (int i = 0; i < 600; ++i) select(on_recv(rx1, add), on_recv(rx2, add));
  CHECK(sum == 300 * 1001);
  p2.join();
  p1.join();
  CHECK(select(on_recv(rx1, add), after(1ms, [] {})) == 1);
}

TEST_CASE("a select that went on without a future or a fiber hears no more of them", "[select]") {
  over_workers([] {
    const auto sleeps_undisturbed = [](auto end) {
      fiber ending([&] {
        this_fiber::sleep_for(1ms);
        end();
      });
      const auto before = clock::now();
      this_fiber::sleep_for(20ms);
      ending.join();
      return clock::now() - before >= 20ms;
    };
    promise<int> later;
    const future<int> awaited = later.get_future();
    CHECK(select(on_future(awaited, [] {}), after(1ms, [] {})) == 1);
    CHECK(sleeps_undisturbed([&] { later.set_value(1); }));

    event end;
    fiber running([&] { end.wait(); });
    CHECK(select(on_join(running, [] {}), after(1ms, [] {})) == 1);
    CHECK(sleeps_undisturbed([&] { end.set(); }));
    running.join();
  });
}

}  // namespace
