#include "meeting.hpp"

#include <zsync/channel/broadcast.hpp>
#include <zsync/channel/channel.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/watch.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("every receiver of a broadcast gets every message", "[broadcast]") {
  over_workers([] {
    auto [tx, rx] = broadcast<std::string>(64);
    std::vector<fiber<std::string>> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(spawn([rx = rx]() mutable {
        std::string text;
        for (const auto& message : rx) text += message;
        return text + (rx.lost() == 0 ? "" : " with gaps");
      }));
    }
    std::string expected;
    for (int i = 0; i < 50; ++i) {
      tx.send(std::to_string(i));
      expected += std::to_string(i);
      if (i % 8 == 0) this_fiber::yield();
    }
    tx.close();
    for (auto& one : all) CHECK(one.join() == expected);
    CHECK_FALSE(tx.send("late"));
  });
}

TEST_CASE("a receiver that lags is told how much it lost, and goes on with the oldest left", "[broadcast]") {
  auto [tx, rx] = broadcast<int>(4);
  auto slow = rx;
  for (int i = 0; i < 10; ++i) {
    CHECK(tx.send(i));
    CHECK(rx.recv() == i);
  }
  CHECK(rx.lost() == 0);
  CHECK(slow.size() == 4);
  CHECK(slow.recv() == 6);
  CHECK(slow.lost() == 6);
  for (int i = 7; i < 10; ++i) CHECK(slow.recv() == i);
  CHECK(slow.lost() == 6);
  int got = 0;
  CHECK(slow.try_recv(got) == channel_status::empty);
  CHECK(slow.recv_for(got, 1ms) == channel_status::timeout);

  auto late = tx.subscribe();
  tx.send(10);
  tx.close();
  CHECK(late.recv() == 10);
  CHECK(late.recv() == std::nullopt);
  CHECK(late.try_recv(got) == channel_status::closed);
  CHECK(slow.recv_for(got, 1ms) == channel_status::success);
  CHECK_THROWS_AS(broadcast<int>(0), std::invalid_argument);
}

TEST_CASE("ends of broadcasts and watches tell what they belong to, and how full it is",
          "[broadcast][watch]") {
  auto [tx, rx] = broadcast<int>(4);
  auto other = broadcast<int>(4);
  CHECK((tx == broadcast_sender<int>(tx) && rx == tx.subscribe()));
  CHECK((tx != other.first && rx != other.second));
  CHECK((tx.capacity() == 4 && rx.capacity() == 4));
  CHECK(rx.empty());
  for (int i = 1; i <= 6; ++i) {
    tx.send(i);
    CHECK_FALSE(rx.empty());
    CHECK(rx.size() == static_cast<std::size_t>(std::min(i, 4)));
  }
  CHECK(rx.recv() == 3);
  CHECK(rx.size() == 3);

  auto [set, seen] = watch(1);
  auto another = watch(1);
  CHECK((set == watch_sender<int>(set) && seen == set.subscribe()));
  CHECK((set != another.first && seen != another.second));
  CHECK((set.capacity() == 1 && seen.capacity() == 1));
  CHECK((seen.size() == 1 && !seen.empty()));
  set.send(2);
  CHECK(seen.size() == 1);
  CHECK(seen.recv() == 2);
  CHECK((seen.size() == 0 && seen.empty()));
}

TEST_CASE("an end that is reset has let go of its channel, and may be given another",
          "[channel][broadcast][watch]") {
  const auto lets_go = [](auto ends, auto another) {
    auto& [tx, rx] = ends;
    auto second = rx;
    rx.reset();
    rx.reset();
    CHECK_FALSE(tx.is_closed());
    CHECK(rx != second);
    auto third = tx;
    tx.reset();
    CHECK_FALSE(second.is_closed());
    third.reset();
    CHECK(second.is_closed());
    second.reset();
    CHECK((tx == third && rx == second));

    tx = another.first;
    rx = another.second;
    CHECK(tx.send(1));
    another.second.reset();
    CHECK_FALSE(tx.is_closed());
    CHECK(rx.recv() == 1);
    rx.reset();
    CHECK(tx.is_closed());
  };
  lets_go(channel<int>(1), channel<int>(1));
  lets_go(broadcast<int>(1), broadcast<int>(1));
  lets_go(watch(0), watch(0));
}

TEST_CASE("a receiver that is assigned knows what the other had lost", "[broadcast]") {
  auto [tx, rx] = broadcast<int>(1);
  auto assigned = tx.subscribe();
  for (int i = 0; i < 3; ++i) tx.send(i);
  CHECK(rx.recv() == 2);
  REQUIRE(rx.lost() == 2);
  CHECK(assigned.lost() == 0);
  assigned = rx;
  CHECK(assigned.lost() == 2);
  CHECK(assigned.size() == 0);
}

// Closes what it is moved into, as if somebody did at that very moment.
struct closing {
  broadcast_sender<closing>* through = nullptr;
  watch_sender<closing>* watched = nullptr;
  std::unique_ptr<int> value{};

  closing() = default;
  closing(const closing& /*other*/) {}  // there is none to be copied
  closing(closing&& other) noexcept
      : through(other.through), watched(other.watched), value(std::move(other.value)) {
    if (through != nullptr) through->close();
    if (watched != nullptr) watched->close();
  }
  closing& operator=(closing&&) = default;
  ~closing() = default;
};

TEST_CASE("a message that is refused because of a close in between is given back", "[broadcast][watch]") {
  auto [tx, rx] = broadcast<closing>(2);
  closing message;
  message.through = &tx;
  message.value = std::make_unique<int>(1);
  CHECK_FALSE(tx.send(std::move(message)));
  REQUIRE(message.value);
  CHECK(*message.value == 1);
  CHECK(rx.size() == 0);

  auto [setter, watched] = watch(closing());
  (void)watched.recv();
  message.through = nullptr;
  message.watched = &setter;
  CHECK_FALSE(setter.send(std::move(message)));
  REQUIRE(message.value);
  CHECK_FALSE(watched.has_changed());
}

// It can be copied as bytes, and not be assigned to.
struct reading {
  const int id;
  double value;
};

TEST_CASE("messages that cannot be assigned to are broadcast and watched all the same",
          "[broadcast][watch]") {
  over_workers([] {
    auto [tx, rx] = broadcast<reading>(2);
    for (int i = 1; i <= 3; ++i) CHECK(tx.send(reading{i, 0.5}));
    const reading fourth{4, 0.5};
    CHECK(tx.send(fourth));
    CHECK(rx.recv()->id == 3);
    std::optional<reading> got;
    CHECK(select(on_recv(rx, [&](std::optional<reading> m) {
            if (m) got.emplace(*m);
          })) == 0);
    REQUIRE(got);
    CHECK(got->id == 4);
    CHECK(rx.lost() == 2);
    CHECK(tx.send(reading{5, 0.5}));
    CHECK(tx.send(reading{6, 0.5}));
    tx.close();
    int sum = 0;
    for (const reading& each : rx) sum += each.id;
    CHECK(sum == 11);

    auto [setter, watched] = watch(reading{1, 0.5});
    CHECK(watched.recv()->id == 1);
    CHECK(setter.send(reading{2, 1.5}));
    CHECK(watched.get().value == 1.5);
    CHECK(setter.get().id == 2);
  });
}

TEST_CASE("what a receiver gets and what it lost add up to what was sent", "[broadcast]") {
  over_workers([] {
    auto ends = broadcast<std::uint64_t>(8);
    constexpr std::uint64_t count = 5000;
    std::vector<fiber<bool>> all;
    for (std::uint64_t i = 0; i < 4; ++i) {
      all.push_back(spawn([rx = ends.second, i]() mutable {
        dice d(i);
        std::uint64_t received = 0;
        std::uint64_t last = 0;
        bool in_order = true;
        while (const auto message = rx.recv()) {
          in_order = in_order && *message > last;
          last = *message;
          ++received;
          if (d.roll(20) == 0) this_fiber::sleep_for(10us);
        }
        return in_order && received + rx.lost() == count;
      }));
    }
    for (std::uint64_t i = 1; i <= count; ++i) {
      ends.first.send(i);
      if (i % 32 == 0) this_fiber::yield();
    }
    ends.first.close();
    for (auto& one : all) CHECK(one.join());
  });
}

TEST_CASE("a broadcast closes with its last sender, or its last receiver", "[broadcast]") {
  over_workers([] {
    auto first = broadcast<int>(2);
    auto waits = spawn([rx = first.second]() mutable { return rx.recv(); });
    let_others_wait();
    { const auto gone = std::move(first.first); }
    CHECK(waits.join() == std::nullopt);
    auto second = broadcast<int>(2);
    { const auto gone = std::move(second.second); }
    CHECK_FALSE(second.first.send(1));
    auto too_late = second.first.subscribe();
    CHECK(too_late.recv() == std::nullopt);
  });
}

TEST_CASE("a watch can be gone through, value by value, until it is closed", "[watch]") {
  over_workers([] {
    auto [tx, rx] = watch(1);
    std::vector<int> seen;
    for (const int value : rx) {
      seen.push_back(value);
      if (value == 3) tx.close();
      tx.send(value + 1);
    }
    CHECK(seen == std::vector<int>{1, 2, 3});
  });
}

TEST_CASE("a watch shows the newest value", "[watch]") {
  over_workers([] {
    auto [tx, rx] = watch<std::string>("first");
    CHECK(rx.has_changed());
    CHECK(rx.recv() == "first");
    CHECK_FALSE(rx.has_changed());
    tx.send("second");
    tx.send("third");
    CHECK(rx.recv() == "third");
    std::string got;
    CHECK(rx.recv_for(got, 1ms) == channel_status::timeout);
    CHECK(rx.get() == "third");
    CHECK(tx.get() == "third");
    auto setter = spawn([tx = tx] {
      this_fiber::sleep_for(2ms);
      tx.send("fourth");
    });
    CHECK(rx.recv() == "fourth");
    setter.join();
    auto other = tx.subscribe();
    CHECK(other.recv() == "fourth");
    tx.send("last");
    tx.close();
    CHECK(other.recv() == "last");
    CHECK(other.recv() == std::nullopt);
    CHECK(other.get() == "last");
  });
}

TEST_CASE("a watch's value that was looked at is seen", "[watch]") {
  auto [tx, rx] = watch<int>(1);
  CHECK(rx.get() == 1);
  CHECK_FALSE(rx.has_changed());
  int got = 0;
  CHECK(rx.try_recv(got) == channel_status::empty);
  tx.send(2);
  CHECK(rx.has_changed());
  CHECK(rx.recv() == 2);
}

// Throws when it is copied, as often as it is told to.
struct reluctant {
  static inline std::atomic<int> refusals = 0;

  explicit reluctant(int v) : value(v) {}
  reluctant(reluctant&&) = default;
  reluctant(const reluctant& other) : value(other.value) { refuse(); }
  reluctant& operator=(reluctant&&) = default;
  reluctant& operator=(const reluctant& other) {
    refuse();
    value = other.value;
    return *this;
  }
  ~reluctant() = default;

  static void refuse() {
    if (refusals == 0) return;
    --refusals;
    throw std::runtime_error("not this time");
  }

  int value;
};

TEST_CASE("a copy that throws leaves what was sent to be received again", "[broadcast][watch]") {
  auto [tx, rx] = broadcast<reluctant>(4);
  auto other = rx;
  for (int i = 1; i <= 3; ++i) CHECK(tx.send(reluctant(i)));

  reluctant into(0);
  reluctant::refusals = 1;
  CHECK_THROWS_AS(rx.recv(), std::runtime_error);
  CHECK(rx.recv()->value == 1);
  reluctant::refusals = 2;
  CHECK_THROWS_AS(rx.try_recv(into), std::runtime_error);
  CHECK_THROWS_AS(rx.recv_for(into, 1s), std::runtime_error);
  CHECK(rx.try_recv(into) == channel_status::success);
  CHECK(into.value == 2);
  reluctant::refusals = 1;
  const auto selects = [&, &rx = rx] {
    int got = 0;
    select(on_recv(rx, [&](std::optional<reluctant> m) { got = m->value; }));
    return got;
  };
  CHECK_THROWS_AS(selects(), std::runtime_error);
  CHECK(selects() == 3);
  for (int i = 1; i <= 3; ++i) CHECK(other.recv()->value == i);  // the others have lost nothing by it
  CHECK(rx.lost() + other.lost() == 0);

  auto [set, seen] = watch(reluctant(1));
  CHECK(set.send(reluctant(2)));
  reluctant::refusals = 1;
  CHECK_THROWS_AS(seen.get(), std::runtime_error);
  CHECK(seen.has_changed());
  CHECK(seen.get().value == 2);
}

TEST_CASE("a select receives from broadcasts and watches", "[select][broadcast][watch]") {
  over_workers([] {
    auto [tx, rx] = broadcast<int>(2);
    auto [setter, watched] = watch<int>(0);
    (void)watched.recv();
    auto sends = spawn([tx = tx, setter = setter] {
      this_fiber::sleep_for(1ms);
      tx.send(5);
      this_fiber::sleep_for(1ms);
      setter.send(6);
    });
    int got = 0;
    const auto take = [&](std::optional<int> m) { got = m.value_or(-1); };
    CHECK(select(on_recv(rx, take), on_recv(watched, take), after(10s, [] {})) == 0);
    CHECK(got == 5);
    CHECK(select(on_recv(rx, take), on_recv(watched, take), after(10s, [] {})) == 1);
    CHECK(got == 6);
    sends.join();
    CHECK(select(on_recv(rx, take), on_recv(watched, take), after(1ms, [] {})) == 2);
  });
}

}  // namespace
