// What a read that returns less than was asked for says about the next one: of a byte stream that there is
// nothing more, of anything that keeps boundaries nothing at all.
#include "io/connections.hpp"
#include "support/in_fiber.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <chrono>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr int messages = 3;

// `send` sends three short messages while `receive` waits for the first: one event tells of all of them.
template <class Send, class Receive>
void receives_all(Send send, Receive receive) {
  int received = 0;
  zsync::fiber receiver([&] {
    const zsync::deadline_scope enough(5s);
    std::array<char, 64> buffer{};
    for (; received < messages; ++received) {
      std::error_code ec;
      if (receive(buffer, ec) != 5 || ec) return;
    }
  });
  this_fiber::sleep_for(1ms);
  for (int i = 0; i < messages; ++i) send("short");
  receiver.join();
  CHECK(received == messages);
}

}  // namespace

TEST_CASE("datagrams that arrive together are all received, though each is shorter than the buffer",
          "[udp]") {
  test::in_fiber([] {
    auto to = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
    auto from = zsync::udp_socket::connected(to.local_address());
    receives_all([&](std::string_view text) { from.send(text); },
                 [&](auto& buffer, std::error_code& ec) { return to.recv(buffer, ec); });
  });
}

TEST_CASE("unix datagrams that arrive together are all received, though each is shorter than the buffer",
          "[unix]") {
  test::in_fiber([] {
    auto [from, to] = zsync::unix_datagram::pair();
    receives_all([&, &from = from](std::string_view text) { from.send(text); },
                 [&, &to = to](auto& buffer, std::error_code& ec) { return to.recv(buffer, ec); });
  });
}

// The kernel ends a read where the next descriptors begin.
TEST_CASE("a read that ends where descriptors begin is no end of what has arrived", "[unix]") {
  test::in_fiber([] {
    auto [from, to] = zsync::unix_stream::pair();
    const std::array<int, 1> mine{0};
    receives_all([&, &from = from](std::string_view text) { from.send_descriptors(text, mine); },
                 [&, &to = to](auto& buffer, std::error_code& ec) { return to.read(buffer, ec); });
  });
}

TEST_CASE("the end of a stream that stands behind its last bytes is found", "[tcp]") {
  test::in_fiber([] {
    auto [a, b] = test::connect_pair();
    zsync::fiber reader([&a = a] {
      const zsync::deadline_scope enough(5s);
      return a.read_all();
    });
    this_fiber::sleep_for(1ms);
    b.write_all("the last");
    b.shutdown(zsync::shutdown_send);
    CHECK(reader.join() == "the last");
  });
}
