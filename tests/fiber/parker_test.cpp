#include <zsync/fiber/parker.hpp>

#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

using zsync::detail::arm_result;
using zsync::detail::parker;
using zsync::detail::wake_cause;

namespace {

constexpr std::uint32_t both = parker::cancellable | parker::wakeable;

// How often threads meet in a race: so many times, and where each meeting costs them turns at a crowded
// processor, as often as some seconds allow.
class meetings {
 public:
  static constexpr int most = 4'000;
  [[nodiscard]] bool another(int so_far) const {
    return so_far < most && (so_far < 100 || std::chrono::steady_clock::now() < end_);
  }

 private:
  std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + std::chrono::seconds(5);
};

}  // namespace

TEST_CASE("whoever does not wait cannot be claimed", "[parker]") {
  parker one(false);
  CHECK_FALSE(one.is_waiting());
  CHECK_FALSE(one.claim());
}

TEST_CASE("a wait is won by one claim only", "[parker]") {
  parker one(false);
  REQUIRE(one.arm(both) == arm_result::open);
  CHECK(one.is_waiting());
  CHECK(one.claim());
  CHECK_FALSE(one.claim());
  CHECK_FALSE(one.request_cancel());
  CHECK_FALSE(one.deposit_token());
}

TEST_CASE("a token that comes before the wait ends the next one that takes tokens, and only that",
          "[parker]") {
  parker one(false);
  CHECK_FALSE(one.deposit_token());
  CHECK_FALSE(one.deposit_token());  // any number count as one
  REQUIRE(one.arm(parker::cancellable) == arm_result::open);
  CHECK(one.claim());
  CHECK(one.arm(both) == arm_result::notified);
  CHECK_FALSE(one.is_waiting());
  CHECK(one.arm(both) == arm_result::open);
  CHECK(one.claim());
}

TEST_CASE("a token ends an open wait that takes tokens and is used up by it", "[parker]") {
  parker one(false);
  REQUIRE(one.arm(both) == arm_result::open);
  CHECK(one.deposit_token());
  CHECK_FALSE(one.is_waiting());
  CHECK(one.arm(both) == arm_result::open);
  CHECK(one.claim());
}

TEST_CASE("a second token, before the woken one runs, stays for its next wait", "[parker]") {
  parker one(false);
  REQUIRE(one.arm(both) == arm_result::open);
  CHECK(one.deposit_token());
  CHECK_FALSE(one.deposit_token());
  CHECK(one.arm(both) == arm_result::notified);
}

TEST_CASE("a token does not end a wait that takes none", "[parker]") {
  parker one(false);
  REQUIRE(one.arm(parker::cancellable) == arm_result::open);
  CHECK_FALSE(one.deposit_token());
  CHECK(one.is_waiting());
  CHECK(one.claim());
  CHECK(one.arm(parker::wakeable) == arm_result::notified);
}

TEST_CASE("a requested cancellation sticks to every wait that accepts it", "[parker]") {
  parker one(false);
  CHECK_FALSE(one.request_cancel());
  CHECK(one.cancel_requested());
  CHECK(one.arm(both) == arm_result::cancelled);
  CHECK(one.arm(parker::cancellable) == arm_result::cancelled);
  REQUIRE(one.arm(parker::wakeable) == arm_result::open);
  CHECK_FALSE(one.request_cancel());
  CHECK(one.deposit_token());
  CHECK(one.arm(both) == arm_result::cancelled);
}

TEST_CASE("cancellation ends an open wait once, and stays requested", "[parker]") {
  parker one(false);
  REQUIRE(one.arm(both) == arm_result::open);
  CHECK(one.request_cancel());
  CHECK_FALSE(one.request_cancel());
  CHECK_FALSE(one.is_waiting());
  CHECK(one.arm(both) == arm_result::cancelled);
}

TEST_CASE("with both pending, cancellation goes first and the token stays", "[parker]") {
  parker one(false);
  CHECK_FALSE(one.deposit_token());
  CHECK_FALSE(one.request_cancel());
  CHECK(one.arm(both) == arm_result::cancelled);
  CHECK(one.arm(parker::wakeable) == arm_result::notified);
}

// One owner waits again and again; three threads race to end each wait, by claim, token and cancellation. The
// rules: each wait has exactly one winner, and after a token nobody sleeps.
TEST_CASE("claims, tokens and openings that race give each wait exactly one winner", "[parker]") {
  constexpr int over = meetings::most + 1;
  parker one(false);
  std::atomic<int> round{0};
  std::atomic<int> finished{0};
  std::atomic<int> winners{0};
  std::vector<std::thread> racers;
  for (int kind = 0; kind < 3; ++kind) {
    racers.emplace_back([&, kind] {
      for (int r = 1;; ++r) {
        while (round.load() < r) std::this_thread::yield();
        if (round.load() == over) return;
        const bool won = kind == 0 ? one.deposit_token() : one.claim();
        if (won) winners.fetch_add(1);
        finished.fetch_add(1);
      }
    });
  }
  int bad = 0;
  const meetings limit;
  for (int r = 1; limit.another(r - 1); ++r) {
    winners.store(0);
    finished.store(0);
    round.store(r);
    const arm_result found = one.arm(both);
    while (finished.load() < 3) std::this_thread::yield();
    // Either the token was there first, or somebody won the open wait, for all three came.
    const int expected = found == arm_result::open ? 1 : 0;
    if (winners.load() != expected || one.is_waiting()) ++bad;
    // A claim may have won while the token stayed: take it out for the next round.
    if (one.arm(parker::wakeable) == arm_result::open) (void)one.claim();
  }
  round.store(over);
  for (auto& t : racers) t.join();
  CHECK(bad == 0);
}

TEST_CASE("a cancellation that races with an opening is never lost", "[parker]") {
  std::vector<std::unique_ptr<parker>> all;
  for (int i = 0; i < meetings::most; ++i) all.push_back(std::make_unique<parker>(false));
  std::atomic<int> round{-1};
  std::atomic<int> answered{-1};
  std::atomic<bool> won{false};
  // Closely, so that the two race; but on one processor the other one needs it.
  const auto wait_for = [](const std::atomic<int>& value, int r) {
    for (int looks = 1; value.load() < r; ++looks) {
      if (looks % 1'000 == 0) std::this_thread::yield();
    }
  };
  std::thread canceller([&] {
    for (int r = 0;; ++r) {
      wait_for(round, r);
      if (round.load() == meetings::most) return;
      won.store(all[static_cast<std::size_t>(r)]->request_cancel());
      answered.store(r);
    }
  });
  int bad = 0;
  const meetings limit;
  for (int r = 0; limit.another(r); ++r) {
    parker& one = *all[static_cast<std::size_t>(r)];
    round.store(r);
    const arm_result found = one.arm(parker::cancellable);
    wait_for(answered, r);
    if (one.is_waiting() || won.load() != (found == arm_result::open)) ++bad;
  }
  round.store(meetings::most);
  canceller.join();
  CHECK(bad == 0);
}
