// Sockets among the cases of a select.
#include "support/in_fiber.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/channel/select.hpp>
#include <zsync/io/on_ready.hpp>
#include <zsync/io/signal.hpp>
#include <zsync/io/tcp.hpp>
#include <zsync/io/udp.hpp>
#include <zsync/io/unix.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <poll.h>
#include <unistd.h>

#include <csignal>
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

TEST_CASE("a select waits for connections, datagrams and signals", "[io][select]") {
  test::in_fiber([] {
    auto listener = tcp_listener::bind("localhost", 0);
    auto datagrams = udp_socket::bind(socket_address::parse("127.0.0.1:0"));
    signal_set signals{SIGUSR1};
    const auto look = [&](std::chrono::nanoseconds d) {
      return select(on_readable(listener, [] {}), on_readable(datagrams, [] {}), on_readable(signals, [] {}),
                    after(d, [] {}));
    };
    CHECK(look(2ms) == 3);
    auto client = spawn([&] {
      this_fiber::sleep_for(2ms);
      return tcp_stream::connect(listener.local_address());
    });
    CHECK(look(10s) == 0);
    auto accepted = listener.accept();  // takes what was announced
    client.join();
    udp_socket::bind(socket_address::parse("127.0.0.1:0")).send_to("x", datagrams.local_address());
    CHECK(look(10s) == 1);
    socket_address from;
    char got[10] = {};
    CHECK(datagrams.recv_from(got, from) == 1);
    ::kill(::getpid(), SIGUSR1);
    CHECK(look(10s) == 2);
    CHECK(signals.next() == SIGUSR1);
    CHECK(look(2ms) == 3);
  });
}

// Withdrawing the socket takes a while, in which the channel's case must not be taken for one that waits.
TEST_CASE("no message is lost to a select that ended by another case", "[io][select]") {
  test::in_fiber([] {
    auto [near, far] = unix_stream::pair();
    auto [tx, rx] = channel<int>(0);
    constexpr int count = 300;
    int sent = 0;
    auto sender = spawn([&tx = tx, &sent] {
      for (int i = 0; i < count; ++i) {
        if (tx.send(i)) ++sent;
        if (i % 3 == 0) this_fiber::sleep_for(std::chrono::microseconds{10 * (i % 7)});
      }
      tx.close();
    });
    int received = 0;
    for (bool open = true; open;) {
      select(on_readable(near, [] {}), after(20us, [] {}), on_recv(rx, [&](std::optional<int> got) {
               if (got) CHECK(*got == received++);
               open = got.has_value();
             }));
    }
    sender.join();
    CHECK(sent == count);
    CHECK(received == count);
    far.write_all("x");
    CHECK(select(on_readable(near, [] {}), after(10s, [] {})) == 0);
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

// Sends a byte to one of its fibers, and polls the loop only when its handle says so.
bool hears_of_a_byte(loop& own, unix_stream& far, const bool& got) {
  if (::write(far.native_handle(), "x", 1) != 1) return false;
  for (int i = 0; i < 10 && !got; ++i) {
    pollfd look{own.native_handle(), POLLIN, 0};
    if (::poll(&look, 1, 5000) != 1) return false;
    own.poll();
  }
  return got;
}

void close_at_home(loop& own, unix_stream& stream) {
  own.post([&] { stream.close(); });
  own.run_until_idle();
}

TEST_CASE("what a poll begins makes the loop readable when it is done", "[io][loop]") {
  test::matrix({.workers = false}, [](runtime_options options) {
    loop own(options);
    auto [near, far] = unix_stream::pair();
    fiber reading = own.spawn([&near = near] {
      char one = 0;
      near.read_exact(mutable_buffer(&one, 1));
      return one;
    });
    own.poll();  // in which it begins to read
    REQUIRE(::write(far.native_handle(), "x", 1) == 1);
    pollfd look{own.native_handle(), POLLIN, 0};
    CHECK(::poll(&look, 1, 5000) == 1);
    CHECK(reading.join() == 'x');
    close_at_home(own, near);
  });
}

TEST_CASE("what begins while a join drives a loop makes it readable when it is done", "[io][loop]") {
  test::matrix({.workers = false}, [](runtime_options options) {
    loop own(options);
    auto [near, far] = unix_stream::pair();
    bool got = false;
    event begin;
    own.post([&, &near = near] {
      begin.wait();
      char one = 0;
      near.read_exact(mutable_buffer(&one, 1));
      got = one == 'x';
    });
    own.poll();
    fiber computing = own.spawn([&] {  // for so long that nobody owes the loop a wake-up any more
      for (int i = 0; i < 100; ++i) {
        const auto until = clock::now() + 200us;
        while (clock::now() < until) continue;
        this_fiber::yield();
      }
      begin.set();
    });
    computing.join();
    CHECK(hears_of_a_byte(own, far, got));
    close_at_home(own, near);
  });
}

TEST_CASE("a loop whose budget is spent has told the kernel what its fibers wait for", "[io][loop]") {
  test::matrix({.workers = false}, [](runtime_options options) {
    loop own(options);
    auto [near, far] = unix_stream::pair();
    bool got = false;
    own.post([&, &near = near] {
      const auto until = clock::now() + 3ms;
      while (clock::now() < until) continue;
      char one = 0;
      near.read_exact(mutable_buffer(&one, 1));
      got = one == 'x';
    });
    own.run_for(1ms);
    CHECK(hears_of_a_byte(own, far, got));
    close_at_home(own, near);
  });
}

}  // namespace
