#include "meeting.hpp"

#include <zsync/channel/async.hpp>
#include <zsync/channel/channel.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/sched/scope.hpp>

#include <array>
#include <atomic>
#include <memory>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("messages of one sender arrive in the order in which they were sent", "[channel]") {
  over_workers([] {
    for (const std::size_t capacity : {0U, 1U, 7U}) {
      auto ends = channel<int>(capacity);
      auto producer = spawn([tx = std::move(ends.first)] {
        for (int i = 0; i < 1000; ++i) tx.send(i);
      });
      const receiver<int> rx = std::move(ends.second);
      int expected = 0;
      bool in_order = true;
      for (const int message : rx) in_order = in_order && message == expected++;
      CHECK(in_order);
      CHECK(expected == 1000);
      producer.join();
    }
  });
}

TEST_CASE("a send to a full channel waits until there is room", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(2);
    std::atomic<int> sent{0};
    auto producer = spawn([&sent, tx = tx] {
      for (int i = 0; i < 4; ++i) {
        tx.send(i);
        ++sent;
      }
    });
    let_others_wait();
    CHECK(sent == 2);
    CHECK(rx.size() == 2);
    CHECK(rx.recv() == 0);
    let_others_wait();
    CHECK(sent == 3);
    CHECK(rx.recv() == 1);
    CHECK(rx.recv() == 2);
    CHECK(rx.recv() == 3);
    producer.join();
    CHECK(rx.empty());
  });
}

TEST_CASE("a rendezvous send returns once its message was received, and not before", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    std::atomic<bool> returned{false};
    auto producer = spawn([&returned, tx = tx] {
      tx.send(7);
      returned = true;
    });
    let_others_wait();
    CHECK_FALSE(returned);
    CHECK(rx.size() == 0);
    CHECK(rx.recv() == 7);
    producer.join();
    CHECK(returned);
  });
}

TEST_CASE("try_send to a rendezvous succeeds only if somebody waits to receive", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    CHECK(tx.try_send(1) == channel_status::full);
    int got = 0;
    CHECK(rx.try_recv(got) == channel_status::empty);
    auto consumer = spawn([rx = rx] { return rx.recv(); });
    while (tx.try_send(2) == channel_status::full) this_fiber::yield();
    CHECK(consumer.join() == 2);
  });
}

TEST_CASE("a send that does not succeed leaves its message untouched", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<std::unique_ptr<int>>(1);
    REQUIRE(tx.send(std::make_unique<int>(1)));
    auto message = std::make_unique<int>(2);

    CHECK(tx.try_send(std::move(message)) == channel_status::full);
    REQUIRE(message);
    CHECK(tx.send_for(std::move(message), 2ms) == channel_status::timeout);
    REQUIRE(message);
    {
      const deadline_scope scope(2ms);
      CHECK_THROWS_AS(tx.send(std::move(message)), std::system_error);
    }
    REQUIRE(message);
    auto sender = spawn([&message, &tx = tx] { tx.send(std::move(message)); });
    let_others_wait();
    sender.cancel();
    CHECK_THROWS_AS(sender.join(), cancelled);
    REQUIRE(message);

    tx.close();
    CHECK(tx.try_send(std::move(message)) == channel_status::closed);
    CHECK_FALSE(tx.send(std::move(message)));
    CHECK(tx.send_for(std::move(message), 2ms) == channel_status::closed);
    REQUIRE(message);
    CHECK(*message == 2);
    CHECK(**rx.recv() == 1);
    CHECK(rx.recv() == std::nullopt);
  });
}

TEST_CASE("a send of a copy gives up in time as well", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(1);
    const int message = 1;
    CHECK(tx.send_for(message, 10s) == channel_status::success);
    CHECK(tx.send_for(message, 2ms) == channel_status::timeout);
    CHECK(rx.size() == 1);
  });
}

TEST_CASE("a receive that does not succeed takes no message", "[channel]") {
  over_workers([] {
    for (const std::size_t capacity : {0U, 1U}) {
      auto [tx, rx] = channel<int>(capacity);
      int got = -1;
      CHECK(rx.try_recv(got) == channel_status::empty);
      CHECK(rx.recv_for(got, 2ms) == channel_status::timeout);
      auto waits = spawn([rx = rx] { (void)rx.recv(); });
      let_others_wait();
      waits.cancel();
      CHECK_THROWS_AS(waits.join(), cancelled);
      {
        const deadline_scope scope(2ms);
        CHECK_THROWS_AS(rx.recv(), std::system_error);
      }
      CHECK(got == -1);

      auto producer = spawn([tx = tx] { tx.send(5); });
      CHECK(rx.recv_for(got, 10s) == channel_status::success);
      CHECK(got == 5);
      CHECK(rx.try_recv(got) == channel_status::empty);
      producer.join();
    }
  });
}

TEST_CASE("close wakes everyone who waits to send, and they keep their messages", "[channel]") {
  over_workers([] {
    for (const std::size_t capacity : {0U, 1U}) {
      auto [tx, rx] = channel<std::unique_ptr<int>>(capacity);
      if (capacity != 0) REQUIRE(tx.send(std::make_unique<int>(0)));
      std::atomic<int> kept{0};
      std::vector<fiber<>> producers;
      for (int i = 0; i < 5; ++i) {
        producers.push_back(spawn([&kept, tx = tx] {
          auto message = std::make_unique<int>(1);
          if (!tx.send(std::move(message)) && message) ++kept;
        }));
      }
      let_others_wait();
      rx.close();
      for (auto& producer : producers) producer.join();
      CHECK(kept == 5);
      CHECK(tx.is_closed());
    }
  });
}

TEST_CASE("close wakes everyone who waits to receive", "[channel]") {
  over_workers([] {
    for (const std::size_t capacity : {0U, 1U}) {
      auto [tx, rx] = channel<int>(capacity);
      std::atomic<int> told{0};
      std::vector<fiber<>> consumers;
      for (int i = 0; i < 5; ++i) {
        consumers.push_back(spawn([&told, rx = rx] {
          if (!rx.recv()) ++told;
        }));
      }
      let_others_wait();
      tx.close();
      for (auto& consumer : consumers) consumer.join();
      CHECK(told == 5);
    }
  });
}

TEST_CASE("what was sent before the close can still be received", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(8);
    for (int i = 0; i < 5; ++i) tx.send(i);
    rx.close();
    CHECK_FALSE(tx.send(9));
    int sum = 0;
    for (const int message : rx) sum += message;
    CHECK(sum == 10);
  });
}

TEST_CASE("a channel closes when its last sender goes", "[channel]") {
  over_workers([] {
    auto ends = channel<int>(4);
    auto consumer = spawn([rx = ends.second] { return rx.recv(); });
    let_others_wait();
    {
      const sender<int> first = std::move(ends.first);
      {
        const sender<int> second = first;
        (void)second;
      }
      CHECK_FALSE(ends.second.is_closed());
    }
    CHECK(ends.second.is_closed());
    CHECK(consumer.join() == std::nullopt);
  });
}

TEST_CASE("a channel closes when its last receiver goes, and what it held is destroyed then", "[channel]") {
  over_workers([] {
    auto ends = channel<std::shared_ptr<int>>(1);
    const auto message = std::make_shared<int>(1);
    REQUIRE(ends.first.send(message));
    auto producer = spawn([tx = ends.first, message] { return tx.send(message); });
    let_others_wait();
    { const receiver<std::shared_ptr<int>> last = std::move(ends.second); }
    CHECK_FALSE(producer.join());
    CHECK(ends.first.is_closed());
    CHECK(message.use_count() == 1);
  });
}

TEST_CASE("what a channel still held may use the channel when it ends", "[channel]") {
  struct last_word {
    last_word(sender<last_word>* through, bool* is_refused) : to(through), refused(is_refused) {}
    last_word(last_word&& other) noexcept : to(std::exchange(other.to, nullptr)), refused(other.refused) {}
    ~last_word() {
      if (to != nullptr) *refused = !to->send(last_word(nullptr, nullptr));
    }
    sender<last_word>* to;
    bool* refused;
  };
  over_workers([] {
    auto ends = channel<last_word>(2);
    bool refused = false;
    ends.first.send(last_word(&ends.first, &refused));
    { const auto gone = std::move(ends.second); }
    CHECK(refused);
  });
}

TEST_CASE("a message may hold the sender of its own channel", "[channel]") {
  struct letter {
    std::optional<sender<letter>> back;
  };
  auto ends = channel<letter>(3);
  for (int i = 0; i < 3; ++i) REQUIRE(ends.first.send(letter{ends.first}));
  // The receiver goes first, the messages with it, and the last sender with them.
}

TEST_CASE("those who wait are served in the order of their arrival", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(0);
    std::vector<fiber<int>> consumers;
    for (int i = 0; i < 4; ++i) {
      consumers.push_back(spawn([rx = rx] { return *rx.recv(); }));
      let_others_wait();
    }
    for (int i = 0; i < 4; ++i) tx.send(i);
    for (int i = 0; i < 4; ++i) CHECK(consumers[static_cast<std::size_t>(i)].join() == i);

    std::vector<fiber<>> producers;
    for (int i = 0; i < 4; ++i) {
      producers.push_back(spawn([tx = tx, i] { tx.send(i); }));
      let_others_wait();
    }
    for (int i = 0; i < 4; ++i) CHECK(rx.recv() == i);
    for (auto& producer : producers) producer.join();
  });
}

TEST_CASE("a waiting sender's message goes behind those that are there already", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<int>(2);
    tx.send(1);
    tx.send(2);
    auto third = spawn([tx = tx] { tx.send(3); });
    let_others_wait();
    auto fourth = spawn([tx = tx] { tx.send(4); });
    let_others_wait();
    for (int i = 1; i <= 4; ++i) CHECK(rx.recv() == i);
    third.join();
    fourth.join();
  });
}

TEST_CASE("messages need only be movable, and may be large or aligned", "[channel]") {
  struct alignas(64) wide {
    explicit wide(int v) : values{v} {}
    wide(wide&&) = default;
    std::array<int, 100> values;
  };
  auto [tx, rx] = channel<wide>(3);
  for (int i = 0; i < 3; ++i) REQUIRE(tx.send(wide(i)));
  for (int i = 0; i < 3; ++i) {
    auto got = rx.recv();
    CHECK(got->values[0] == i);
    CHECK(reinterpret_cast<std::uintptr_t>(&*got) % 64 == 0);
  }
}

TEST_CASE("a move that throws loses no message and leaves the channel at work", "[channel]") {
  run([] {
    for (const std::size_t capacity : {0U, 1U}) {
      auto [tx, rx] = channel<fragile>(capacity);
      auto expect_next = [&rx = rx](int value) {
        const auto got = rx.recv();
        CHECK(got->value == value);
      };
      {  // the message is handed to a waiting receiver: the sender has the exception, the receiver goes on
         // waiting
        auto consumer = spawn([rx = rx] { return rx.recv()->value; });
        let_others_wait();
        fragile message(1);
        fragile::moves_left = 0;
        CHECK_THROWS_AS(tx.send(std::move(message)), std::string);
        CHECK(message.value == 1);
        CHECK(tx.send(std::move(message)));
        CHECK(consumer.join() == 1);
      }
      {  // a receiver takes it from a waiting sender, or out of the buffer: it stays where it is
        auto producer = spawn([tx = tx] { tx.send(fragile(2)); });
        let_others_wait();
        fragile::moves_left = 0;
        CHECK_THROWS_AS(rx.recv(), std::string);
        expect_next(2);
        producer.join();
      }
    }
    CHECK(fragile::alive == 0);
  });
}

TEST_CASE("a move that throws while a waiting sender's message fills the gap is that sender's", "[channel]") {
  run([] {
    auto [tx, rx] = channel<fragile>(1);
    REQUIRE(tx.send(fragile(1)));
    std::vector<fiber<bool>> producers;
    for (int i = 2; i < 4; ++i) {
      producers.push_back(spawn([tx = tx, i] {
        fragile message(i);
        try {
          return tx.send(std::move(message));
        } catch (const std::string&) {
          return tx.send(std::move(message));
        }
      }));
      let_others_wait();
    }
    fragile::moves_left = 1;  // the receiver's own succeeds, the one that refills throws
    CHECK(rx.recv()->value == 1);
    const int sum = rx.recv()->value + rx.recv()->value;
    CHECK(sum == 5);
    for (auto& producer : producers) CHECK(producer.join());
    CHECK(fragile::alive == 0);
  });
}

TEST_CASE("a waiting message whose move throws does not hold up the one behind it", "[channel]") {
  run(
      [] {
        auto [tx, rx] = channel<fragile>(1);
        REQUIRE(tx.send(fragile(1)));
        std::vector<fiber<bool>> producers;
        for (int i = 2; i < 4; ++i) {
          producers.push_back(spawn([tx = tx, i] { return tx.send(fragile(i)); }));
          let_others_wait();
        }
        fragile::moves_left = 1;  // the receiver's own succeeds, the one that refills throws
        CHECK(rx.recv()->value == 1);
        CHECK(rx.size() == 1);
        CHECK(rx.recv()->value == 3);
        CHECK(rx.recv()->value == 2);
        for (auto& producer : producers) CHECK(producer.join());
      },
      {.workers = 1});
}

TEST_CASE("an assignment that throws in try_recv leaves the message in the channel", "[channel]") {
  auto [tx, rx] = channel<fragile>(1);
  REQUIRE(tx.send(fragile(1)));
  fragile into(0);
  fragile::moves_left = 0;
  CHECK_THROWS_AS(rx.try_recv(into), std::string);
  CHECK(rx.size() == 1);
  CHECK(rx.try_recv(into) == channel_status::success);
  CHECK(into.value == 1);
}

// What it held before uses the channel of its successor when it ends, as a log or the sender of a request
// may.
struct tells_at_its_end {
  tells_at_its_end() = default;
  explicit tells_at_its_end(const sender<tells_at_its_end>& to) : log(std::make_unique<entry>(to)) {}

  struct entry {
    explicit entry(const sender<tells_at_its_end>& to) : tx(to) {}
    ~entry() { (void)tx.try_send(tells_at_its_end{}); }
    sender<tells_at_its_end> tx;
  };
  std::unique_ptr<entry> log;
};

TEST_CASE("what a receive replaces may use the channel when it ends", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<tells_at_its_end>(4);
    tells_at_its_end into;
    tx.send(tells_at_its_end(tx));
    tx.send(tells_at_its_end{});
    CHECK(rx.try_recv(into) == channel_status::success);
    CHECK(rx.try_recv(into) == channel_status::success);  // ends the first, which sends another
    CHECK(rx.size() == 1);

    into = tells_at_its_end(tx);
    auto producer = spawn([tx = tx] { tx.send(tells_at_its_end{}); });
    CHECK(rx.recv_for(into, 60s) == channel_status::success);  // the oldest, and another comes
    CHECK(rx.recv_for(into, 60s) == channel_status::success);
    CHECK(rx.recv_for(into, 60s) == channel_status::success);
    producer.join();
  });
}

TEST_CASE("a message that cannot be assigned is received as a new object", "[channel]") {
  struct constant {
    const int value;
  };
  over_workers([] {
    auto [tx, rx] = channel<constant>(1);
    tx.send(constant{7});
    CHECK(rx.recv()->value == 7);
  });
}

TEST_CASE("plain threads and fibers of two runtimes share a channel", "[channel]") {
  for (const std::size_t capacity : {0U, 3U}) {
    auto ends = channel<int>(capacity);
    runtime one({.workers = 1});
    runtime two({.workers = 2});
    std::atomic<std::int64_t> sum{0};
    const auto produce = [tx = ends.first] {
      for (int i = 1; i <= 500; ++i) tx.send(i);
    };
    const auto consume = [&sum, rx = ends.second] {
      for (const int message : rx) sum += message;
    };
    auto p1 = one.spawn(produce);
    auto p2 = two.spawn(produce);
    std::thread p3(produce);
    auto c1 = one.spawn(consume);
    auto c2 = two.spawn(consume);
    std::thread c3(consume);
    p1.join();
    p2.join();
    p3.join();
    ends.first.close();
    c1.join();
    c2.join();
    c3.join();
    CHECK(sum == 3 * 500 * 501 / 2);
  }
}

TEST_CASE("an unbounded channel takes whatever is sent, in order, without waiting", "[channel]") {
  over_workers([] {
    auto [tx, rx] = unbounded_channel<std::string>();
    int expected = 0;
    int sent = 0;
    dice d(1);
    bool in_order = true;
    for (int round = 0; round < 40; ++round) {
      for (auto n = d.roll(2000); n != 0; --n) tx.send(std::to_string(sent++));
      for (auto n = d.roll(1500); n != 0 && expected < sent; --n) {
        in_order = in_order && rx.recv() == std::to_string(expected++);
      }
    }
    CHECK(rx.size() == static_cast<std::size_t>(sent - expected));
    while (expected < sent) in_order = in_order && rx.recv() == std::to_string(expected++);
    CHECK(in_order);
    tx.close();
    CHECK(rx.recv() == std::nullopt);
  });
}

// As pointers to COM's objects have it.
struct counted_address {
  int value;
  counted_address* operator&() { return nullptr; }
};

TEST_CASE("messages and results with an operator& of their own are taken by their address", "[channel]") {
  over_workers([] {
    auto [tx, rx] = channel<counted_address>(1);
    counted_address message{4};
    CHECK(tx.send(message));
    CHECK(tx.try_send(std::move(message)) == channel_status::full);
    counted_address got{0};
    CHECK(rx.try_recv(got) == channel_status::success);
    CHECK(got.value == 4);
    CHECK(select(on_send(tx, message, [] {})) == 0);
    CHECK(rx.recv()->value == 4);

    auto running = async([&]() -> counted_address& { return message; });
    CHECK(std::addressof(running.get()) == std::addressof(message));
    promise<counted_address&> set;
    set.set_value(message);
    CHECK(std::addressof(set.get_future().get()) == std::addressof(message));
  });
}

}  // namespace
