#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::matrix;

namespace {

// Abstract, so that nothing is left behind; one for each process and use.
std::string unique_path() {
  static std::atomic<int> count{0};
  return "@zsync-test-" + std::to_string(::getpid()) + '-' + std::to_string(count++);
}

}  // namespace

TEST_CASE("unix streams carry bytes both ways", "[unix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const std::string path = unique_path();
          auto listener = zsync::unix_listener::bind(path);
          zsync::fiber server([&] {
            auto peer = listener.accept();
            peer.write_all(peer.read_until('\n'));
            std::array<char, 4> rest{};
            peer.read_exact(rest);  // what came after the delimiter is still there
            peer.shutdown(zsync::shutdown_send);
          });
          auto client = zsync::unix_stream::connect(path);
          client.write_all("hello\nrest");
          REQUIRE(client.read_all() == "hello\n");
          server.join();
        },
        options);
  });
}

TEST_CASE("a unix connect waits while the backlog is full", "[unix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const std::string path = unique_path();
          const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
          const auto address = zsync::socket_address::unix_socket(path);
          REQUIRE(::bind(fd, address.native(), address.native_size()) == 0);
          REQUIRE(::listen(fd, 0) == 0);
          zsync::unix_listener listener(zsync::from_fd, fd);
          std::vector<zsync::fiber<bool>> clients;
          for (int i = 0; i < 5; ++i) {
            clients.push_back(zsync::spawn([&] { return zsync::unix_stream::connect(path).is_open(); }));
          }
          zsync::this_fiber::sleep_for(5ms);
          for (int i = 0; i < 5; ++i) REQUIRE(listener.accept().is_open());
          for (auto& client : clients) REQUIRE(client.join());
        },
        options);
  });
}

TEST_CASE("descriptors are passed over unix sockets", "[unix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = zsync::unix_stream::pair();
          auto [c, d] = zsync::unix_datagram::pair();
          auto [reader, writer] = zsync::pipe();
          const std::array<int, 2> numbers{writer.native_handle(), writer.native_handle()};
          zsync::fiber sender([&, &a = a, &c = c] {
            a.send_descriptors("x", numbers);
            c.send_descriptors("yz", std::span(numbers).first(1));
          });
          std::array<char, 8> buffer{};
          std::vector<zsync::unique_fd> received;
          REQUIRE(b.receive_descriptors(buffer, received) == 1);
          REQUIRE(received.size() == 2);
          REQUIRE(d.receive_descriptors(buffer, received) == 2);
          REQUIRE(received.size() == 3);
          for (const auto& fd : received) {
            REQUIRE((::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
            REQUIRE(::write(fd.get(), "1", 1) == 1);
          }
          sender.join();
          writer.close();
          received.clear();
          REQUIRE(reader.read_all() == "111");
        },
        options);
  });
}

TEST_CASE("a unix datagram sender waits for room", "[unix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const std::string path = unique_path();
          auto receiver = zsync::unix_datagram::bind(path);
          auto connected = zsync::unix_datagram::unbound();
          connected.connect(path);
          constexpr int count = 500;
          zsync::fiber sender([&] {
            auto unconnected = zsync::unix_datagram::unbound();
            for (int i = 0; i < count; ++i) {
              connected.send("12345678");
              if (i % 10 == 0) unconnected.send_to("12345678", zsync::socket_address::unix_socket(path));
            }
          });
          zsync::this_fiber::sleep_for(5ms);
          std::array<char, 16> buffer{};
          for (int i = 0; i < count + count / 10; ++i) REQUIRE(receiver.recv(buffer) == 8);
          sender.join();
        },
        options);
  });
}
