#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::byte_at;
using zsync::test::connect_pair;
using zsync::test::listen_anywhere;
using zsync::test::matrix;

TEST_CASE("what is written to a connection is echoed back", "[tcp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto listener = listen_anywhere();
          zsync::fiber server([&] {
            auto peer = listener.accept();
            std::array<char, 64> buffer{};
            while (const std::size_t n = peer.read(buffer)) peer.write_all({buffer.data(), n});
          });
          auto tcp = zsync::tcp_stream::connect("127.0.0.1", listener.local_address().port());
          for (int i = 0; i < 100; ++i) {
            const std::string sent = "ping " + std::to_string(i);
            tcp.write_all(sent);
            std::string received(sent.size(), ' ');
            tcp.read_exact(received);
            REQUIRE(received == sent);
          }
          tcp.write_all("the end");
          tcp.shutdown(zsync::shutdown_send);
          REQUIRE(tcp.read_all() == "the end");
          server.join();
        },
        options);
  });
}

// To find the delimiter it looks at what has arrived without taking it. The runtime once took a short look
// for a read that had emptied the socket, and waited for an event that could not come.
TEST_CASE("read_until returns a line that is all that has arrived", "[tcp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [client, server] = connect_pair();
          zsync::fiber reader([&peer = server] {
            for (const char* line : {"one\n", "two\n"}) REQUIRE(peer.read_until('\n') == line);
          });
          for (const char* line : {"one\n", "two\n"}) {
            zsync::this_fiber::sleep_for(2ms);  // until the reader waits
            client.write_all(line);
          }
          REQUIRE(reader.join_for(10s));
        },
        options);
  });
}

TEST_CASE("64 MiB go both ways at once, unharmed", "[tcp][slow]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          constexpr std::uint64_t total = 64u << 20;
          auto [a, b] = connect_pair();
          const auto send = [](zsync::tcp_stream& to) {
            std::vector<char> chunk(100'003);
            for (std::uint64_t done = 0; done < total;) {
              const std::size_t n =
                  static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), total - done));
              for (std::size_t i = 0; i < n; ++i) chunk[i] = byte_at(done + i);
              to.write_all({chunk.data(), n});
              done += n;
            }
            to.shutdown(zsync::shutdown_send);
          };
          const auto receive = [](zsync::tcp_stream& from) {
            std::vector<char> chunk(77'777);
            std::uint64_t done = 0;
            while (const std::size_t n = from.read(chunk)) {
              for (std::size_t i = 0; i < n; ++i) {
                if (chunk[i] != byte_at(done + i)) return std::uint64_t{0};
              }
              done += n;
            }
            return done;
          };
          zsync::fiber a_sends([&, &a = a] { send(a); });
          zsync::fiber b_sends([&, &b = b] { send(b); });
          zsync::fiber a_receives([&, &a = a] { return receive(a); });
          REQUIRE(receive(b) == total);
          REQUIRE(a_receives.join() == total);
          a_sends.join();
          b_sends.join();
        },
        options);
  });
}

TEST_CASE("a read ends at its deadline, and the stream goes on", "[tcp][deadline]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          std::array<char, 8> buffer{};
          std::error_code ec;
          const auto begin = zsync::clock::now();
          {
            const zsync::deadline_scope scope(30ms);
            REQUIRE(a.read(buffer, ec) == 0);
          }
          REQUIRE(ec == std::errc::timed_out);
          REQUIRE(ec == zsync::error::deadline_expired);
          REQUIRE(zsync::clock::now() - begin >= 30ms);
          a.set_read_timeout(20ms);
          try {
            a.read(buffer);
            FAIL("nothing to read, yet it returned");
          } catch (const std::system_error& e) {
            REQUIRE(e.code() == std::errc::timed_out);
            REQUIRE(e.code() != zsync::error::deadline_expired);
          }
          b.write_all("late");
          REQUIRE(a.read(buffer, ec) == 4);
          REQUIRE(!ec);
        },
        options);
  });
}

TEST_CASE("a cancelled read gives up, and takes nothing with it", "[tcp][cancel]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          zsync::fiber reader([&, &a = a] {
            std::array<char, 8> buffer{};
            std::error_code ec;
            a.read(buffer, ec);
            return ec;
          });
          zsync::this_fiber::sleep_for(5ms);
          reader.cancel();
          REQUIRE(reader.join() == std::errc::operation_canceled);
          b.write_all("kept");
          std::array<char, 8> buffer{};
          REQUIRE(a.read(buffer) == 4);
        },
        options);
  });
}

TEST_CASE("close wakes the reader, the writer and the acceptor", "[tcp][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          auto listener = listen_anywhere();
          zsync::fiber reader([&, &a = a] {
            std::array<char, 8> buffer{};
            std::error_code ec;
            a.read(buffer, ec);
            return ec;
          });
          zsync::fiber writer([&, &a = a] {
            const std::vector<char> much(1 << 20);
            std::error_code ec;
            for (int i = 0; i < 100 && !ec; ++i) a.write_all(much, ec);
            return ec;
          });
          zsync::fiber acceptor([&] {
            std::error_code ec;
            listener.accept(ec);
            return ec;
          });
          zsync::this_fiber::sleep_for(20ms);
          a.close();
          listener.close();
          REQUIRE(reader.join() == zsync::error::closed);
          REQUIRE(writer.join() == zsync::error::closed);
          REQUIRE(acceptor.join() == zsync::error::closed);
          std::error_code ec;
          b.read_all(ec);  // ends: the peer has been told
          REQUIRE((!ec || ec == std::errc::connection_reset));
          std::array<char, 8> buffer{};
          a.read(buffer, ec);
          REQUIRE(ec == zsync::error::closed);
        },
        options);
  });
}

TEST_CASE("two plain threads talk over a connection", "[tcp][thread]") {
  auto listener = listen_anywhere();
  std::thread server([&] {
    auto peer = listener.accept();
    peer.write_all(peer.read_all());
  });
  auto tcp = zsync::tcp_stream::connect("localhost", listener.local_address().port());
  tcp.write_all("from a thread");
  tcp.shutdown(zsync::shutdown_send);
  const std::string echoed = tcp.read_all();
  server.join();
  REQUIRE(echoed == "from a thread");
}

TEST_CASE("the options of connections and listeners reach the kernel", "[tcp]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          const auto option = [&s = a](int level, int name) {
            int value = -1;
            socklen_t size = sizeof value;
            REQUIRE(::getsockopt(s.native_handle(), level, name, &value, &size) == 0);
            return value;
          };
          a.set_nodelay(true);
          REQUIRE(option(IPPROTO_TCP, TCP_NODELAY) != 0);
          a.set_keepalive({.idle = 7s, .interval = 3s, .probes = 2});
          REQUIRE(option(SOL_SOCKET, SO_KEEPALIVE) != 0);
          REQUIRE(option(IPPROTO_TCP, TCP_KEEPIDLE) == 7);
          REQUIRE(option(IPPROTO_TCP, TCP_KEEPINTVL) == 3);
          REQUIRE(option(IPPROTO_TCP, TCP_KEEPCNT) == 2);
          a.set_keepalive(false);
          REQUIRE(option(SOL_SOCKET, SO_KEEPALIVE) == 0);
          a.set_user_timeout(1500ms);
          REQUIRE(option(IPPROTO_TCP, TCP_USER_TIMEOUT) == 1500);
          a.set_send_buffer_size(100'000);
          REQUIRE(option(SOL_SOCKET, SO_SNDBUF) >= 100'000);

          // Two listeners share a port only if both say so.
          zsync::listen_options sharing;
          sharing.reuse_port = true;
          auto first = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"), sharing);
          auto second = zsync::tcp_listener::bind(first.local_address(), sharing);
          std::error_code ec;
          zsync::tcp_listener::bind(first.local_address(), ec);
          REQUIRE(ec == std::errc::address_in_use);

          // "[::]" takes IPv4 connections on request.
          zsync::listen_options both;
          both.v6_only = false;
          auto any = zsync::tcp_listener::bind(zsync::socket_address::parse("[::]:0"), both, ec);
          if (ec) return;  // a machine without IPv6
          const auto port = any.local_address().port();
          auto four =
              zsync::tcp_stream::connect(zsync::socket_address(zsync::ip_address::loopback_v4(), port));
          REQUIRE(any.accept().is_open());
          auto six =
              zsync::tcp_stream::connect(zsync::socket_address(zsync::ip_address::loopback_v6(), port));
          REQUIRE(any.accept().is_open());
        },
        options);
  });
}

TEST_CASE("what cannot be bound or connected to is named", "[tcp]") {
  const auto says = [](const std::string& text) {
    return Catch::Predicate<std::system_error>(
        [text](const std::system_error& e) { return std::string(e.what()).starts_with(text); }, text);
  };
  zsync::run([&] {
    auto listener = zsync::tcp_listener::bind("127.0.0.1", 0);
    const std::uint16_t port = listener.local_address().port();
    const std::string where = "127.0.0.1:" + std::to_string(port);
    CHECK_THROWS_MATCHES(zsync::tcp_listener::bind("127.0.0.1", port), std::system_error,
                         says("bind " + where + ": Address already in use"));
    CHECK_THROWS_MATCHES(zsync::tcp_listener::bind("nobody.invalid", 0), std::system_error,
                         says("bind nobody.invalid:0: "));
    std::error_code ec;
    CHECK_FALSE(zsync::tcp_listener::bind("127.0.0.1", port, ec).is_open());
    CHECK(ec == std::errc::address_in_use);
    CHECK_FALSE(zsync::tcp_listener::bind("nobody.invalid", 0, {}, ec).is_open());
    CHECK((ec && ec != std::errc::address_in_use));
    CHECK(zsync::tcp_listener::bind("127.0.0.1", 0, ec).is_open());
    CHECK_FALSE(ec);
    listener.close();
    CHECK_THROWS_MATCHES(zsync::tcp_stream::connect("127.0.0.1", port), std::system_error,
                         says("connect " + where + ": Connection refused"));
    CHECK_THROWS_MATCHES(zsync::tcp_stream::connect(zsync::socket_address::parse(where)), std::system_error,
                         says("connect " + where + ": "));
    CHECK_THROWS_MATCHES(zsync::tcp_stream::connect("::1", 1), std::system_error, says("connect [::1]:1: "));
    CHECK_THROWS_MATCHES(zsync::unix_stream::connect("/nowhere/socket"), std::system_error,
                         says("connect unix:/nowhere/socket: "));
    CHECK_THROWS_MATCHES(zsync::unix_listener::bind("/nowhere/socket"), std::system_error,
                         says("bind unix:/nowhere/socket: "));
  });
}

TEST_CASE("a vectored read fills one buffer after the other", "[tcp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          const std::array<zsync::const_buffer, 3> out{zsync::const_buffer("one"), zsync::const_buffer(""),
                                                       zsync::const_buffer("two")};
          REQUIRE(b.writev(out) == 6);
          std::array<char, 4> first{};
          std::array<char, 4> second{};
          const std::array<zsync::mutable_buffer, 2> in{zsync::mutable_buffer(first),
                                                        zsync::mutable_buffer(second)};
          REQUIRE(a.readv(in) == 6);
          REQUIRE(std::string_view(first.data(), 4) == "onet");
          REQUIRE(std::string_view(second.data(), 2) == "wo");
        },
        options);
  });
}
