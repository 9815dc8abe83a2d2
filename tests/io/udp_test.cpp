#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::matrix;

namespace {

zsync::udp_socket anywhere() { return zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0")); }

}  // namespace

TEST_CASE("datagrams keep their size and say where they come from", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = anywhere();
          zsync::fiber echo([&] {
            std::array<char, 2000> buffer{};
            zsync::socket_address from;
            for (int i = 0; i < 50; ++i) {
              const std::size_t n = server.recv_from(buffer, from);
              server.send_to({buffer.data(), n}, from);
            }
          });
          auto client = zsync::udp_socket::connected(server.local_address());
          std::array<char, 2000> buffer{};
          for (std::size_t i = 0; i < 50; ++i) {
            const std::string sent(i * 20, 'd');
            REQUIRE(client.send(sent) == sent.size());
            REQUIRE(client.recv(buffer) == sent.size());
          }
          echo.join();
        },
        options);
  });
}

TEST_CASE("many datagrams go out and come in with one call", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = anywhere();
          auto client = anywhere();
          const auto to = server.local_address();
          std::vector<std::string> texts;
          std::vector<zsync::outgoing_datagram> out;
          for (int i = 0; i < 40; ++i) texts.push_back("datagram " + std::to_string(i));
          for (const auto& text : texts) out.push_back({text, to});
          zsync::fiber sender([&] {
            zsync::this_fiber::sleep_for(2ms);
            std::size_t sent = 0;
            while (sent < out.size()) sent += client.send_many(std::span(out).subspan(sent));
          });
          std::size_t received = 0;
          std::vector<std::array<char, 12>> buffers(16);
          while (received < texts.size()) {
            std::vector<zsync::incoming_datagram> in(buffers.size());
            for (std::size_t i = 0; i < in.size(); ++i) in[i].buffer = buffers[i];
            const std::size_t n = server.recv_many(in);
            REQUIRE(n > 0);
            for (std::size_t i = 0; i < n; ++i) {
              REQUIRE(std::string(buffers[i].data(), in[i].size) == texts[received]);
              REQUIRE(in[i].from == client.local_address());
              REQUIRE(!in[i].truncated);
              ++received;
            }
          }
          sender.join();
          client.send_to("longer than twelve bytes", to);
          std::array<zsync::incoming_datagram, 1> one{zsync::incoming_datagram{.buffer = buffers[0]}};
          REQUIRE(server.recv_many(one) == 1);
          REQUIRE(one[0].truncated);
        },
        options);
  });
}

TEST_CASE("a large buffer is cut into datagrams", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = anywhere();
          auto client = anywhere();
          std::string data(10'500, ' ');
          for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>('a' + i / 1000);
          REQUIRE(client.send_segments(data, 1000, server.local_address()) == data.size());
          std::array<char, 2000> buffer{};
          std::string received;
          for (int i = 0; i < 11; ++i) {
            const std::size_t n = server.recv(buffer);
            REQUIRE(n == (i < 10 ? 1000u : 500u));
            received.append(buffer.data(), n);
          }
          REQUIRE(received == data);
        },
        options);
  });
}

TEST_CASE("datagrams of one size to one peer are sent as one, and received as one on request", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = anywhere();
          auto other = anywhere();
          auto client = anywhere();
          server.set_receive_coalescing(true);
          // Ten of 1000 bytes and one of 300; one more of 300, which may not be joined; one to somebody else.
          std::vector<std::string> texts;
          for (int i = 0; i < 12; ++i) texts.emplace_back(i < 10 ? 1000 : 300, static_cast<char>('a' + i));
          std::vector<zsync::outgoing_datagram> out;
          for (const auto& text : texts) out.push_back({text, server.local_address()});
          out.push_back({"for you", other.local_address()});
          out.push_back({"", server.local_address()});
          REQUIRE(client.send_many(out) == out.size());
          std::array<char, 16> small{};
          REQUIRE(other.recv(small) == 7);
          std::string expected;
          for (const auto& text : texts) expected += text;
          std::string received;
          std::size_t messages = 0;
          std::size_t largest = 0;
          std::vector<char> memory(4 * 65536);
          while (received.size() < expected.size()) {
            std::array<zsync::incoming_datagram, 4> in{};
            for (std::size_t i = 0; i < 4; ++i) in[i].buffer = {memory.data() + i * 65536, 65536};
            const std::size_t n = server.recv_many(in);
            for (std::size_t i = 0; i < n; ++i) {
              REQUIRE(!in[i].truncated);
              received.append(memory.data() + i * 65536, in[i].size);
              if (in[i].size > 1000) REQUIRE(in[i].segment == 1000);
              largest = std::max(largest, in[i].size);
              ++messages;
            }
          }
          REQUIRE(received == expected);
          REQUIRE(largest == 10'300);
          REQUIRE(messages <= 3);
          server.set_receive_coalescing(false);
          REQUIRE(client.send_many(std::span(out).first(3)) == 3);
          std::vector<char> one(2000);
          // The empty one, unless it came with the others.
          std::size_t n = server.recv(one);
          if (n == 0) n = server.recv(one);
          REQUIRE(n == 1000);
        },
        options);
  });
}

TEST_CASE("datagrams that no offload takes are sent all the same", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = anywhere();
          server.set_receive_buffer_size(1 << 20);
          auto client = anywhere();
          // Larger than a packet of the loopback interface, which the offload refuses; each is fragmented.
          const std::string large(65'500, 'l');
          const std::string small(30'000, 's');
          const std::array<zsync::outgoing_datagram, 3> out{
              zsync::outgoing_datagram{small, server.local_address()},
              zsync::outgoing_datagram{small, server.local_address()},
              zsync::outgoing_datagram{large, server.local_address()}};
          std::size_t sent = 0;
          while (sent < out.size()) sent += client.send_many(std::span(out).subspan(sent));
          std::vector<char> buffer(70'000);
          REQUIRE(server.recv(buffer) == small.size());
          REQUIRE(server.recv(buffer) == small.size());
          REQUIRE(server.recv(buffer) == large.size());
        },
        options);
  });
}

TEST_CASE("a datagram to nobody is a refusal at the next call", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto gone = anywhere();
          auto client = zsync::udp_socket::connected(gone.local_address());
          gone.close();
          client.send("anybody?");
          std::array<char, 16> buffer{};
          std::error_code ec;
          client.set_read_timeout(1s);
          client.recv(buffer, ec);
          REQUIRE(ec == std::errc::connection_refused);
        },
        options);
  });
}

TEST_CASE("a multicast group hears what is sent to it", "[udp]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const auto group = zsync::ip_address::parse("239.255.77.1");
          auto member = zsync::udp_socket::bind({zsync::ip_address::any_v4(), 0}, {.reuse_address = true});
          auto sender = anywhere();
          member.join(group, 1);  // the loopback interface
          sender.set_multicast_interface(1);
          sender.set_multicast_ttl(1);
          sender.set_multicast_loop(true);
          const zsync::socket_address to(group, member.local_address().port());
          std::array<char, 16> buffer{};
          std::error_code ec;
          sender.send_to("to all", to, ec);
          if (ec) return;  // a loopback without multicast
          member.set_read_timeout(200ms);
          const std::size_t n = member.recv(buffer, ec);
          REQUIRE((ec || n == 6));
          member.leave(group, 1);
        },
        options);
  });
}

TEST_CASE("closing a socket ends a wait for datagrams", "[udp][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto s = anywhere();
          zsync::fiber waiting([&] {
            std::array<char, 16> buffer{};
            std::error_code ec;
            s.recv(buffer, ec);
            return ec;
          });
          zsync::this_fiber::sleep_for(2ms);
          s.close();
          REQUIRE(waiting.join() == zsync::error::closed);
        },
        options);
  });
}

TEST_CASE("datagrams go out and come in several at once on the smallest stacks", "[udp]") {
  if (zsync::test::sanitized) return;  // their frames are larger
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto server = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
          const auto to = server.local_address();
          zsync::fiber receiver(zsync::spawn_options{.stack_size = 16 * 1024}, [&] {
            std::vector<char> room(64 * 16);
            std::vector<zsync::incoming_datagram> in(64);
            for (std::size_t i = 0; i < in.size(); ++i) in[i].buffer = {room.data() + i * 16, 16};
            std::size_t received = 0;
            while (received < 128) received += server.recv_many(in);
            return received;
          });
          zsync::fiber sender(zsync::spawn_options{.stack_size = 16 * 1024}, [&] {
            auto client = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
            const std::vector<zsync::outgoing_datagram> out(64, {{"datagram", 8}, to});
            std::size_t sent = 0;
            while (sent < 64) sent += client.send_many(std::span(out).subspan(sent));
            client.send_segments({std::string(64 * 8, 's').data(), 64 * 8}, 8, to);
          });
          sender.join();
          REQUIRE(receiver.join() == 128);
        },
        options);
  });
}
