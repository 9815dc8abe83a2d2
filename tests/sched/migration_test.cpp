// Where fibers that may move go on.
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <atomic>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;
using zsync::detail::wait;
using zsync::detail::wait_kind;
namespace test = zsync::test;

namespace {

unsigned worker_index() { return zsync::detail::current_worker()->index(); }

// Whether a wait that another fiber of the same worker ends goes on elsewhere.
bool moves(std::uint32_t accepts) {
  const unsigned before = worker_index();
  wait rest(wait_kind::park, nullptr, accepts);
  zsync::fiber other({.worker = static_cast<int>(before)}, [&] {
    zsync::detail::parker& party = rest.party();
    if (!party.claim()) return;
    party.cause = zsync::detail::wake_cause::notified;
    schedule(party);
  });
  REQUIRE(rest.open());
  rest.suspend();
  return worker_index() != before;
}

}  // namespace

// An operation that a ring has in the kernel comes back to the worker of that ring, which is where its fiber
// has to be.
TEST_CASE("a wait that is anchored ends where it began, though its fiber may move", "[migration]") {
  test::matrix({.workers = false}, [](const zsync::runtime_options& given) {
    zsync::runtime_options options = given;
    options.workers = 2;
    options.policy = zsync::scheduling::work_stealing;
    options.force_migration = true;
    zsync::runtime own(options);
    own.block_on([] {
      for (int i = 0; i < 20; ++i) {
        CHECK(moves(wait::uncancellable));
        CHECK_FALSE(moves(wait::anchored));
      }
    });
  });
}

TEST_CASE("a fiber may move or not, as was asked for it, whatever others of its runtime may", "[migration]") {
  const auto moves_when = [](zsync::scheduling usual, zsync::scheduling asked) {
    zsync::runtime own({.workers = 2, .policy = usual, .force_migration = true});
    return own.spawn({.policy = asked}, [] { return moves(wait::uncancellable); }).join();
  };
  CHECK(moves_when(zsync::scheduling::pinned, zsync::scheduling::work_stealing));
  CHECK_FALSE(moves_when(zsync::scheduling::work_stealing, zsync::scheduling::pinned));
}

// Whatever it does next: nothing else would say that the wait is over.
TEST_CASE("a fiber that may move does so again after a wait that was anchored", "[migration]") {
  zsync::runtime own({.workers = 2, .policy = zsync::scheduling::work_stealing, .force_migration = true});
  own.block_on([] {
    CHECK_FALSE(moves(wait::anchored));
    const unsigned before = worker_index();
    zsync::fiber next({.worker = static_cast<int>(before)}, [] {});  // for the yield to lead to
    zsync::this_fiber::yield();
    CHECK(worker_index() != before);
    next.join();
  });
}

// It stood in the queue of the worker that the fiber left, and was taken out of that of the worker to which
// the fiber came: somebody else's timer.
TEST_CASE("a fiber that moves takes no other's timer with it", "[migration][turns]") {
  zsync::runtime own({.workers = 2, .policy = zsync::scheduling::work_stealing, .force_migration = true});
  auto sleeper = own.spawn({.worker = 1}, [] { zsync::this_fiber::sleep_for(100ms); });
  std::atomic<bool> held{false};
  std::atomic<bool> release{false};
  auto holder = own.spawn({.worker = 1}, [&] {  // so that it steals nothing
    held = true;
    while (!release) std::this_thread::yield();
  });
  while (!held) std::this_thread::yield();
  bool moved = false;
  auto host = own.spawn({.worker = 0}, [&] {
    zsync::waker wake;
    bool parks = false;
    zsync::fiber mover([&] {
      const unsigned before = worker_index();
      wake = zsync::this_fiber::get_waker();
      parks = true;
      zsync::this_fiber::park_for(10s);
      moved = worker_index() != before;
    });
    while (!parks) zsync::this_fiber::yield();
    wake.wake();
    release = true;
    mover.join();
  });
  host.join();
  holder.join();
  CHECK(moved);
  CHECK(sleeper.join_for(5s));
}
