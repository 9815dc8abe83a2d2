// Fibers whose calls never have to wait.
#include "support/turns.hpp"
#include "io/connections.hpp"
#include "support/in_fiber.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <chrono>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

TEST_CASE("a fiber whose writes never wait lets others have a turn now and then", "[io]") {
  test::in_fiber({.workers = false}, [] {
    for (const bool at_home : {false, true}) {
      auto [a, b] = test::connect_pair();
      if (at_home) {
        const zsync::deadline_scope soon(1ms);
        std::array<char, 1> byte{};
        std::error_code ec;
        a.read(byte, ec);
        REQUIRE(ec == std::errc::timed_out);
      }
      const int turns = test::turns_during([&a = a] {
        for (int i = 0; i < 400; ++i) a.write_all("x");
      });
      CHECK(turns >= 3);
      CHECK(turns <= 40);  // and yet not at every write
    }
  });
}

TEST_CASE("an answer goes out although other fibers keep the worker busy", "[io]") {
  test::in_fiber({.workers = false}, [] {
    auto [client, server] = test::connect_pair();
    zsync::fiber answering([&server = server] {
      std::array<char, 1> byte{};
      while (server.read(byte) != 0) server.write_all(byte);
    });
    bool stop = false;
    zsync::fiber other([&] {
      while (!stop) this_fiber::yield();
    });
    // Receipts that are followed by several writes, and by one.
    std::array<char, 100> bytes{};
    for (int i = 0; i < 100; ++i) {
      client.write_all({bytes.data(), i % 2 == 0 ? bytes.size() : 1});
      client.read_exact({bytes.data(), i % 2 == 0 ? bytes.size() : 1});
    }
    stop = true;
    client.shutdown(zsync::shutdown_send);
    answering.join();
    other.join();
  });
}

TEST_CASE("a fiber whose reads never wait lets others have a turn now and then", "[io]") {
  test::in_fiber({.workers = false}, [] {
    auto [a, b] = test::connect_pair();
    std::array<char, 1> byte{};
    zsync::fiber first([&, &a = a] { a.read(byte); });  // makes this worker its home
    this_fiber::sleep_for(1ms);
    b.write_all(std::string(401, 'x'));
    first.join();
    const int turns = test::turns_during([&, &a = a] {
      for (int i = 0; i < 400; ++i) a.read_exact(byte);
    });
    CHECK(turns >= 3);
  });
}
