// A thousand dumps while fibers come and go, for the checkers: nothing that a dump looks at may be gone, or
// be written meanwhile.
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/on_channel.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/channel/shared_mutex.hpp>
#include <zsync/channel/timed_mutex.hpp>
#include <zsync/io/unix.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <string>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

void talk() {
  auto [here, there] = zsync::unix_stream::pair();
  zsync::fiber answers([&peer = there] {
    std::byte one[1];
    if (peer.read(one) == 1) peer.write_all(one);
  });
  std::byte one[1] = {std::byte{7}};
  here.write_all(one);
  here.read(one);
}

void pass_on() {
  auto [tx, rx] = zsync::channel<int>(1);
  auto [other_tx, other_rx] = zsync::channel<int>(0);
  zsync::fiber sends([&tx = tx] {
    for (int i = 0; i < 5; ++i) tx.send(i);
  });
  for (int got = 0; got < 5;) {
    zsync::select(zsync::on_recv(rx, [&](std::optional<int>) { ++got; }),
                  zsync::on_recv(other_rx, [](std::optional<int>) {}), zsync::after(1s, [] {}));
  }
}

// Locks that end with whoever held them last.
void share() {
  zsync::timed_mutex lock;
  zsync::shared_mutex shared;
  zsync::task_group group;
  for (int i = 0; i < 4; ++i) {
    group.spawn({.name = "shares"}, [&, i] {
      const std::unique_lock hold(lock, 1ms);
      zsync::this_fiber::set_name("renamed " + std::to_string(i));
      if (i == 0) {
        const std::lock_guard alone(shared);
        zsync::this_fiber::yield();
      } else {
        const std::shared_lock together(shared);
        zsync::this_fiber::sleep_for(20us);
      }
    });
  }
  group.wait();
}

}  // namespace

TEST_CASE("a thousand dumps while fibers come and go", "[inspect]") {
  test::matrix({.policies = true}, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::atomic<bool> enough = false;
    std::vector<zsync::fiber<>> busy;
    for (void (*const what)() : {&talk, &pass_on, &share}) {
      for (int i = 0; i < 2; ++i) {
        busy.push_back(own.spawn({.name = "busy"}, [&, what] {
          while (!enough) what();
        }));
      }
    }
    const auto end = std::chrono::steady_clock::now() + (test::sanitized ? 20s : 3s);
    std::size_t told = 0;
    for (int i = 0; i < 150 && std::chrono::steady_clock::now() < end; ++i) {
      std::ostringstream text;
      own.dump(text, i % 2 == 0 ? zsync::dump_format::text : zsync::dump_format::json);
      told += text.str().size();
    }
    CHECK(told > 1000);
    enough = true;
    for (auto& one : busy) one.join();
  });
}
