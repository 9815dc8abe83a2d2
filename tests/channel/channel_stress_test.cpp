// Everybody does everything at once, and the sums have to be right. ZSYNC_STRESS=1000000000 for the long
// suite.
#include "meeting.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/semaphore.hpp>
#include <zsync/channel/wait_group.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

namespace {

using namespace zsync;
using namespace zsync::test;

constexpr std::size_t producers = 4;

// Owns memory, so that a sanitizer sees every message that is lost or doubled; the sums see it without one.
struct letter {
  std::size_t from;
  std::uint64_t number;
  std::unique_ptr<std::uint64_t> copy;
};

letter write_letter(std::size_t from, std::uint64_t number) {
  return {from, number, std::make_unique<std::uint64_t>(number)};
}

struct totals {
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> sent_sum{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> received_sum{0};
  std::atomic<std::uint64_t> faults{0};  // out of order, or damaged
};

// Sends in every way there is. What is not accepted at first is sent again.
void produce(const sender<letter>& tx, std::size_t me, std::uint64_t count, totals& all) {
  dice d(me + 1);
  for (std::uint64_t number = 1; number <= count; ++number) {
    letter message = write_letter(me, number);
    for (bool sent = false; !sent;) {
      switch (d.roll(6)) {
        case 0:
          sent = tx.try_send(std::move(message)) == channel_status::success;
          break;
        case 1:
          sent = tx.send_for(std::move(message), std::chrono::microseconds(d.roll(50))) ==
                 channel_status::success;
          break;
        case 2:
          select(on_send(tx, std::move(message), [&](bool s) { sent = s; }),
                 after(std::chrono::microseconds(d.roll(50)), [] {}));
          break;
        case 3:
          select(on_send(tx, std::move(message), [&](bool s) { sent = s; }), otherwise([] {}));
          break;
        default:
          sent = tx.send(std::move(message));
          break;
      }
      if (!sent && !message.copy) ++all.faults;  // it must be untouched
      if (!sent) this_fiber::yield();
    }
    ++all.sent;
    all.sent_sum += number;
  }
}

void consume(const receiver<letter>& rx, std::uint64_t seed, totals& all) {
  dice d(seed);
  std::array<std::uint64_t, producers> last{};
  const auto note = [&](const letter& message) {
    if (!message.copy || *message.copy != message.number || message.number <= last[message.from])
      ++all.faults;
    last[message.from] = message.number;
    ++all.received;
    all.received_sum += message.number;
  };
  for (bool open = true; open;) {
    letter message{};
    channel_status status = channel_status::empty;
    const auto take = [&](std::optional<letter> m) {
      status = m ? channel_status::success : channel_status::closed;
      if (m) message = std::move(*m);
    };
    switch (d.roll(6)) {
      case 0:
        status = rx.try_recv(message);
        break;
      case 1:
        status = rx.recv_for(message, std::chrono::microseconds(d.roll(50)));
        break;
      case 2:
        select(on_recv(rx, take), after(std::chrono::microseconds(d.roll(50)), [] {}));
        break;
      case 3:
        select(on_recv(rx, take), otherwise([] {}));
        break;
      default:
        take(rx.recv());
        break;
    }
    if (status == channel_status::success) note(message);
    if (status == channel_status::closed) open = false;
    if (status == channel_status::empty) this_fiber::yield();
  }
}

void check(const totals& all, std::uint64_t count) {
  CHECK(all.faults == 0);
  CHECK(all.sent == producers * count);
  CHECK(all.received == all.sent);
  CHECK(all.received_sum == all.sent_sum);
}

TEST_CASE("no message is lost, doubled or out of order, however it is sent and received", "[stress]") {
  over_workers([] {
    const std::uint64_t count = stress_size(200'000) / producers;
    for (const std::size_t capacity : {0U, 1U, 16U}) {
      auto ends = channel<letter>(capacity);
      totals all;
      std::vector<fiber<>> senders;
      std::vector<fiber<>> receivers;
      for (std::size_t i = 0; i < producers; ++i) {
        senders.push_back(spawn([&all, i, count, tx = ends.first] { produce(tx, i, count, all); }));
        receivers.push_back(spawn([&all, i, rx = ends.second] { consume(rx, 100 + i, all); }));
      }
      for (auto& one : senders) one.join();
      ends.first.close();
      for (auto& one : receivers) one.join();
      check(all, count);
    }
  });
}

TEST_CASE("the same between plain threads and two runtimes", "[stress]") {
  const std::uint64_t count = stress_size(6'000) / producers;
  for (const std::size_t capacity : {0U, 16U}) {
    auto ends = channel<letter>(capacity);
    totals all;
    {
      runtime one({.workers = 1});
      runtime two({.workers = 2});
      const auto sends = [&](std::size_t i) {
        return [&all, i, count, tx = ends.first] { produce(tx, i, count, all); };
      };
      const auto receives = [&](std::size_t i) {
        return [&all, i, rx = ends.second] { consume(rx, 200 + i, all); };
      };
      auto s0 = one.spawn(sends(0));
      auto s1 = two.spawn(sends(1));
      auto s2 = two.spawn(sends(2));
      std::thread s3(sends(3));
      auto r0 = one.spawn(receives(0));
      auto r1 = two.spawn(receives(1));
      std::thread r2(receives(2));
      s0.join();
      s1.join();
      s2.join();
      s3.join();
      ends.first.close();
      r0.join();
      r1.join();
      r2.join();
    }
    check(all, count);
  }
}

TEST_CASE("cancelling receivers and selects at any time loses no message", "[stress]") {
  over_workers([] {
    const std::uint64_t count = stress_size(20'000) / producers;
    for (const std::size_t capacity : {0U, 2U}) {
      auto ends = channel<letter>(capacity);
      totals all;
      std::vector<fiber<>> senders;
      for (std::size_t i = 0; i < producers; ++i) {
        senders.push_back(spawn([&all, i, count, tx = ends.first] { produce(tx, i, count, all); }));
      }
      auto closer = spawn([&, tx = ends.first] {
        for (auto& one : senders) one.join();
        tx.close();
      });
      auto [never_tx, never_rx] = channel<int>(0);
      for (dice d(9); !(ends.second.is_closed() && ends.second.empty());) {
        const auto victim = [&all, rx = ends.second, never = never_rx, by_select = d.roll(2) == 0] {
          for (;;) {
            std::optional<letter> got;
            if (by_select) {
              select(on_recv(rx, [&](std::optional<letter> m) { got = std::move(m); }),
                     on_recv(never, [](std::optional<int>) {}));
            } else {
              got = rx.recv();
            }
            if (!got) return;
            ++all.received;
            all.received_sum += got->number;
          }
        };
        std::vector<fiber<>> victims;
        for (int i = 0; i < 3; ++i) victims.push_back(spawn(victim));
        if (d.roll(2) == 0) {
          this_fiber::sleep_for(std::chrono::microseconds(d.roll(100)));
        } else {
          for (auto n = d.roll(30); n != 0; --n) this_fiber::yield();
        }
      }
      closer.join();
      check(all, count);
    }
  });
}

TEST_CASE("selects over many channels at once neither lose nor double, nor wait for ever", "[stress]") {
  over_workers([] {
    constexpr std::size_t parties = 6;
    const std::uint64_t count = stress_size(60'000) / parties;
    std::array<std::optional<std::pair<sender<std::uint64_t>, receiver<std::uint64_t>>>, 3> all;
    for (auto& one : all) one = channel<std::uint64_t>(0);
    std::atomic<std::uint64_t> sent{0};
    std::atomic<std::uint64_t> received{0};
    std::atomic<std::uint64_t> moves{0};
    std::atomic<std::uint64_t> busy{parties};
    std::vector<fiber<>> fibers;
    for (std::size_t me = 0; me < parties; ++me) {
      fibers.push_back(spawn([&, me] {
        dice d(me + 77);
        const auto in = [&](std::optional<std::uint64_t> m) {
          if (m) received += *m;
        };
        for (std::uint64_t i = 0; i < count; ++i) {
          const std::uint64_t mine = d.roll(1000) + 1;
          const auto out = [&](bool s) {
            if (s) sent += mine;
          };
          const auto& a = *all[d.roll(3)];
          const auto& b = *all[d.roll(3)];
          select(on_send(a.first, mine, out), on_recv(b.second, in), on_recv(a.second, in),
                 on_send(b.first, mine, out), after(busy == parties ? 1s : 200us, [] {}));
          ++moves;
        }
        --busy;  // the others may be too few to meet now
      }));
    }
    for (auto& one : fibers) one.join();
    CHECK(sent == received);
    CHECK(moves == parties * count);
  });
}

TEST_CASE("a bounded buffer of mutex and conditions agrees with one of semaphores", "[stress]") {
  over_workers([] {
    const std::uint64_t count = stress_size(80'000) / producers;
    mutex m;
    condition_variable not_full;
    condition_variable not_empty;
    std::vector<std::uint64_t> buffer;  // m
    counting_semaphore<> room(5);
    counting_semaphore<> filled(0);
    mutex second;
    std::vector<std::uint64_t> other;  // second
    std::atomic<std::uint64_t> sum{0};
    std::atomic<std::uint64_t> other_sum{0};
    std::atomic<std::uint64_t> overrun{0};
    wait_group pending(2 * producers);
    for (std::size_t p = 0; p < producers; ++p) {
      spawn([&] {
        for (std::uint64_t i = 1; i <= count; ++i) {
          {
            std::unique_lock lock(m);
            not_full.wait(lock, [&] { return buffer.size() < 5; });
            buffer.push_back(i);
            if (buffer.size() > 5) ++overrun;
          }
          not_empty.notify_one();
          room.acquire();
          {
            const std::lock_guard guard(second);
            other.push_back(i);
            if (other.size() > 5) ++overrun;
          }
          filled.release();
        }
        pending.done();
      }).detach();
      spawn([&] {
        for (std::uint64_t i = 1; i <= count; ++i) {
          {
            std::unique_lock lock(m);
            not_empty.wait(lock, [&] { return !buffer.empty(); });
            sum += buffer.back();
            buffer.pop_back();
          }
          not_full.notify_one();
          filled.acquire();
          {
            const std::lock_guard guard(second);
            other_sum += other.back();
            other.pop_back();
          }
          room.release();
        }
        pending.done();
      }).detach();
    }
    pending.wait();
    CHECK(sum == producers * count * (count + 1) / 2);
    CHECK(other_sum == sum);
    CHECK(overrun == 0);
  });
}

}  // namespace
