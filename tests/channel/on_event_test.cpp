// Selects over events, and cases that are switched off.
#include "meeting.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/scope.hpp>

#include <optional>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a select goes on with an event that is set, and sleeps until it is", "[select][event]") {
  over_workers([] {
    event stop;
    auto [tx, rx] = channel<int>(1);
    int fired = 0;
    const auto choose = [&stop, &fired, &rx = rx] {
      return select(on_recv(rx, [](std::optional<int>) {}), on_event(stop, [&] { ++fired; }));
    };
    CHECK(select(on_event(stop, [] {}), otherwise([] {})) == 1);
    fiber setter([&] { stop.set(); });
    CHECK(choose() == 1);
    setter.join();
    CHECK(choose() == 1);  // with manual reset for as often as one asks
    CHECK(fired == 2);
    stop.reset();
    tx.send(1);
    CHECK(choose() == 0);
  });
}

TEST_CASE("an event with automatic reset lets one through, be it a select or another", "[select][event]") {
  over_workers([] {
    event ready(event::auto_reset);
    event other(event::auto_reset);
    std::atomic<int> through{0};
    std::vector<fiber<void>> all;
    for (int i = 0; i < 3; ++i) {
      all.emplace_back([&] { select(on_event(ready, [&] { ++through; }), on_event(other, [] {})); });
    }
    all.emplace_back([&] {
      ready.wait();
      ++through;
    });
    let_others_wait();
    for (int i = 1; i <= 4; ++i) {
      ready.set();
      while (through < i) this_fiber::yield();
      let_others_wait();
      CHECK(through == i);
    }
    for (auto& each : all) each.join();
    CHECK_FALSE(ready.is_set());
  });
}

TEST_CASE("a select that goes on with another case takes nothing from an event", "[select][event]") {
  over_workers([] {
    event ready(event::auto_reset);
    event go(event::auto_reset);
    fiber selecting([&] { return select(on_event(ready, [] {}), on_event(go, [] {})); });
    let_others_wait();
    go.set();
    CHECK(selecting.join() == 1);
    ready.set();
    CHECK(ready.is_set());
    CHECK(ready.try_wait());

    CHECK(select(on_event(ready, [] {}), after(1ms, [] {})) == 1);
    const deadline_scope soon(1ms);
    CHECK_THROWS_AS(select(on_event(ready, [] {}), on_event(go, [] {})), std::system_error);
    ready.set();
    CHECK(ready.is_set());
  });
}

TEST_CASE("an event that is reset is set no more, whichever way it resets", "[event]") {
  for (const auto mode : {event::manual_reset, event::auto_reset}) {
    event e(mode, true);
    e.reset();
    CHECK_FALSE(e.is_set());
    CHECK_FALSE(e.try_wait());
    e.set();
    CHECK(e.try_wait());
  }
}

TEST_CASE("plain threads and fibers set and select events, and none is lost", "[select][event]") {
  over_workers([] {
    constexpr int rounds = 500;
    event ping(event::auto_reset);
    event pong(event::auto_reset);
    event never;
    std::thread other([&] {
      for (int i = 0; i < rounds; ++i) {
        select(on_event(never, [] {}), on_event(ping, [] {}));
        pong.set();
      }
    });
    for (int i = 0; i < rounds; ++i) {
      ping.set();
      select(on_event(pong, [] {}), on_event(never, [] {}));
    }
    other.join();
    CHECK_FALSE(ping.is_set());
    CHECK_FALSE(pong.is_set());
  });
}

TEST_CASE("a case that is switched off never fires, whichever kind it is", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    tx.close();
    event set(event::auto_reset, true);
    const auto ignore = [](std::optional<int>) {};
    CHECK(select(only_if(false, on_recv(rx, ignore)), only_if(false, on_event(set, [] {})),
                 only_if(false, after(0s, [] {})), after(1ms, [] {})) == 3);
    CHECK(select(only_if(false, otherwise([] {})), after(1ms, [] {})) == 1);
    CHECK(set.is_set());
    CHECK(select(only_if(true, on_recv(rx, ignore)), after(1h, [] {})) == 0);
    CHECK(select(only_if(false, on_recv(rx, ignore)), only_if(true, on_event(set, [] {}))) == 1);
    CHECK_FALSE(set.is_set());
    CHECK(select(only_if(true, otherwise([] {})), on_event(set, [] {})) == 0);
    CHECK(select(only_if(true, after(1ms, [] {})), on_event(set, [] {})) == 0);
  });
}

TEST_CASE("a case that is switched on waits, is served and is withdrawn as it would be alone", "[select]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    auto [other_tx, other_rx] = channel<int>(0);
    int got = 0;
    fiber sending([tx = std::move(tx)] { tx.send(7); });
    CHECK(select(only_if(true, on_recv(rx, [&](std::optional<int> n) { got = n.value_or(0); })),
                 only_if(true, on_recv(other_rx, [](std::optional<int>) {}))) == 0);
    CHECK(got == 7);
    CHECK(other_tx.try_send(1) == channel_status::full);  // nobody is left in its queue
    sending.join();
  });
}

TEST_CASE("a dump tells which event a select waits for, and of no case that is switched off",
          "[select][event]") {
  over_workers([] {
    event stop;
    event unasked;
    fiber selecting([&] { select(on_event(stop, [] {}), only_if(false, on_event(unasked, [] {}))); });
    let_others_wait();
    std::ostringstream text;
    detail::dump(detail::current_worker()->owner(), text);
    const auto named = [&](const void* at) {
      std::ostringstream address;
      address << at;
      return text.str().find(address.str()) != std::string::npos;
    };
    CHECK(named(&stop));
    CHECK_FALSE(named(&unasked));
    stop.set();
    selecting.join();
  });
}

}  // namespace
