#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::matrix;

namespace {

// A name server for the tests: each name that begins with "known" has the addresses given, any other none.
class name_server {
 public:
  explicit name_server(std::vector<zsync::ip_address> addresses)
      : socket_(zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"))),
        addresses_(std::move(addresses)),
        fiber_([this] { serve(); }) {}
  ~name_server() {
    socket_.close();
    fiber_.join();
  }

  [[nodiscard]] zsync::resolve_options options() const { return {.servers = {socket_.local_address()}}; }
  [[nodiscard]] int queries(int type) const { return type == 1 ? four_ : six_; }

  // Keeps look-ups under way.
  void hold_answers(bool hold) { holding_ = hold; }

 private:
  void serve() {
    std::array<char, 512> query{};
    zsync::socket_address from;
    std::error_code ec;
    for (;;) {
      std::size_t n = 0;
      try {
        n = socket_.recv_from(query, from, ec);
      } catch (const zsync::cancelled&) {
        return;
      }
      if (ec) return;
      while (holding_) zsync::this_fiber::sleep_for(1ms);
      const std::string reply = answer(std::string(query.data(), n));
      socket_.send_to(reply, from, ec);
    }
  }

  std::string answer(const std::string& query) {
    std::size_t end = 12;
    while (query[end] != 0) end += static_cast<std::size_t>(query[end]) + 1;
    const int type = query[end + 2];
    ++(type == 1 ? four_ : six_);
    const bool known = query.compare(13, 5, "known") == 0;
    std::vector<zsync::ip_address> matching;
    for (const auto& a : addresses_) {
      if (known && a.is_v4() == (type == 1)) matching.push_back(a);
    }
    std::string reply = query.substr(0, end + 5);
    reply[2] = static_cast<char>(0x81);
    reply[3] = static_cast<char>(known ? 0x80 : 0x83);  // recursion available; perhaps: no such name
    reply[7] = static_cast<char>(matching.size());
    reply[9] = reply[11] = 0;
    for (const auto& a : matching) {
      const std::size_t size = a.is_v4() ? 4 : 16;
      reply += std::string("\xc0\x0c\x00", 3) + static_cast<char>(type) +
               std::string("\x00\x01\x00\x00\x00\x00\x00", 7) + static_cast<char>(size) +
               std::string(reinterpret_cast<const char*>(a.bytes().data()), size);
    }
    return reply;
  }

  zsync::udp_socket socket_;
  const std::vector<zsync::ip_address> addresses_;
  std::atomic<bool> holding_{false};
  std::atomic<int> four_{0};
  std::atomic<int> six_{0};
  zsync::fiber<void> fiber_;
};

// How many fibers of that name wait for something.
std::size_t waiting(const zsync::runtime& in, const std::string& name) {
  std::ostringstream dump;
  in.dump(dump);
  const std::string text = dump.str();
  const std::string line = "'" + name + "': waiting, ";
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(line, at)) != std::string::npos; at += line.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("addresses in figures and the hosts file need no name server", "[resolve]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          REQUIRE(zsync::resolve("10.1.2.3", "80").at(0).to_string() == "10.1.2.3:80");
          REQUIRE(zsync::resolve("::1", "").at(0).to_string() == "[::1]:0");
          const auto local = zsync::resolve("localhost", "7");
          REQUIRE(std::ranges::any_of(local, [](const auto& a) { return a.to_string() == "127.0.0.1:7"; }));
          std::error_code ec;
          REQUIRE(zsync::resolve("", "80", {}, ec).empty());
          REQUIRE(ec == zsync::error::no_such_host);
        },
        options);
  });
}

TEST_CASE("a name server is asked, and a name it does not know is no such host", "[resolve]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const name_server server(
              {zsync::ip_address::parse("192.0.2.7"), zsync::ip_address::parse("2001:db8::7")});
          auto found = zsync::resolve("known.example", "443", server.options());
          std::ranges::sort(found);
          REQUIRE(found.size() == 2);
          REQUIRE(found[0].to_string() == "192.0.2.7:443");
          REQUIRE(found[1].to_string() == "[2001:db8::7]:443");
          std::error_code ec;
          REQUIRE(zsync::resolve("unheard.example", "443", server.options(), ec).empty());
          REQUIRE(ec == zsync::error::no_such_host);
          auto four = server.options();
          four.family = zsync::socket_address::family::v4;
          REQUIRE(zsync::resolve("known.example", "http", four).at(0).to_string() == "192.0.2.7:80");
        },
        options);
  });
}

TEST_CASE("concurrent look-ups of one name are one", "[resolve]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    std::optional<name_server> server;
    own.block_on([&] { server.emplace(std::vector{zsync::ip_address::parse("192.0.2.7")}); });
    server->hold_answers(true);
    std::vector<zsync::fiber<std::size_t>> asking;
    for (int i = 0; i < 50; ++i) {
      asking.push_back(own.spawn(
          {.name = "asks"}, [&] { return zsync::resolve("known.example", "1", server->options()).size(); }));
    }
    for (int i = 0; i < 1000 && waiting(own, "asks") < 50; ++i) std::this_thread::sleep_for(2ms);
    REQUIRE(waiting(own, "asks") == 50);
    asking.front().cancel();  // whoever asked first does not take the others' answer with him
    REQUIRE_THROWS_AS(asking.front().join(), zsync::cancelled);
    server->hold_answers(false);
    for (std::size_t i = 1; i < asking.size(); ++i) REQUIRE(asking[i].join() == 1);
    REQUIRE(server->queries(1) == 1);
    own.block_on([&] { server.reset(); });
  });
}

TEST_CASE("a look-up that nobody answers has its deadline and can be cancelled", "[resolve][deadline]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const auto silent = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
          const zsync::resolve_options where{.servers = {silent.local_address()}};
          std::error_code ec;
          {
            const zsync::deadline_scope scope(20ms);
            zsync::resolve("known.example", "1", where, ec);
          }
          REQUIRE(ec == std::errc::timed_out);
          zsync::fiber asking([&] {
            std::error_code failure;
            zsync::resolve("known.other", "1", where, failure);
            return failure;
          });
          zsync::this_fiber::sleep_for(5ms);
          asking.cancel();
          REQUIRE(asking.join() == std::errc::operation_canceled);
        },
        options);
  });
}

TEST_CASE("connecting to a name takes the address that answers", "[resolve][tcp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          // localhost is two addresses here, of which one has a listener.
          auto listener = zsync::test::listen_anywhere();
          auto tcp = zsync::tcp_stream::connect("localhost", listener.local_address().port());
          REQUIRE(listener.accept().is_open());
          listener.close();
          std::error_code ec;
          zsync::tcp_stream::connect("localhost", tcp.peer_address().port(), ec);
          REQUIRE(ec == std::errc::connection_refused);
        },
        options);
  });
}
