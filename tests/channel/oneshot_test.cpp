#include "meeting.hpp"

#include <zsync/channel/oneshot.hpp>

#include <memory>

namespace {

using namespace zsync;
using namespace zsync::test;

TEST_CASE("a oneshot carries one message and closes", "[channel]") {
  over_workers([] {
    auto [tx, rx] = oneshot<std::unique_ptr<int>>();
    CHECK(tx.send(std::make_unique<int>(3)));
    CHECK(tx.is_closed());
    auto second = std::make_unique<int>(4);
    CHECK_FALSE(tx.send(std::move(second)));
    CHECK(second);
    CHECK(**rx.recv() == 3);
    CHECK_FALSE(rx.recv());
  });
}

TEST_CASE("a oneshot whose message could not be moved is open for another", "[channel]") {
  auto [tx, rx] = oneshot<fragile>();
  fragile message(3);
  fragile::moves_left = 0;
  CHECK_THROWS_AS(tx.send(std::move(message)), std::string);
  CHECK_FALSE(tx.is_closed());
  CHECK(tx.send(std::move(message)));
  CHECK(tx.is_closed());
  const auto got = rx.recv();
  REQUIRE(got);
  CHECK(got->value == 3);
}

TEST_CASE("a oneshot whose receiver waits closes as well", "[channel]") {
  over_workers([] {
    auto [tx, rx] = oneshot<int>();
    auto first = spawn([rx = rx] { return rx.recv(); });
    let_others_wait();
    auto second = spawn([rx = rx] { return rx.recv(); });
    let_others_wait();
    CHECK(tx.send(3));
    CHECK_FALSE(tx.send(4));
    CHECK(first.join() == 3);
    CHECK(second.join() == std::nullopt);
  });
}

TEST_CASE("a oneshot whose sender goes without a word gives nothing", "[channel]") {
  over_workers([] {
    auto ends = oneshot<int>();
    auto waits = spawn([rx = ends.second] { return rx.recv(); });
    let_others_wait();
    { const auto gone = std::move(ends.first); }
    CHECK(waits.join() == std::nullopt);
  });
}

}  // namespace
