// Sockets among the cases of a select.
#include "support/in_fiber.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/io/on_ready.hpp>
#include <zsync/io/unix.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <optional>

namespace {

using namespace zsync;
using namespace std::chrono_literals;

TEST_CASE("a select waits for a socket as for anything else", "[io][select]") {
  test::in_fiber([] {
    auto [near, far] = unix_stream::pair();
    auto [tx, rx] = channel<int>(0);
    int fired = -1;
    const auto look = [&, &near = near, &rx = rx](std::chrono::nanoseconds d) {
      fired = -1;
      select(on_readable(near, [&] { fired = 0; }), on_recv(rx, [&](std::optional<int>) { fired = 1; }),
             after(d, [&] { fired = 2; }));
      return fired;
    };
    CHECK(look(2ms) == 2);
    auto writer = spawn([&far = far] {
      this_fiber::sleep_for(2ms);
      far.write_all("x");
    });
    CHECK(look(10s) == 0);
    CHECK(look(10s) == 0);  // nothing was taken
    writer.join();
    char got[10] = {};
    near.read_exact(mutable_buffer(got, 1));
    CHECK(got[0] == 'x');
    auto sends = spawn([&tx = tx] { tx.send(1); });
    CHECK(look(10s) == 1);
    sends.join();
    CHECK(select(on_writable(near, [] {}), after(10s, [] {})) == 0);
    CHECK(select(on_readable(near, [] {}), otherwise([] {})) == 1);
    far.close();
    CHECK(look(10s) == 0);  // the end can be read
  });
}

TEST_CASE("a select on a socket can be cancelled, and leaves the socket as it was", "[io][select]") {
  test::in_fiber([] {
    auto [near, far] = unix_stream::pair();
    auto waits = spawn([&near = near] { select(on_readable(near, [] {})); });
    this_fiber::sleep_for(2ms);
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), cancelled);
    far.write_all("still here");
    std::string got(10, 0);
    near.read_exact(got);
    CHECK(got == "still here");
  });
}

}  // namespace
