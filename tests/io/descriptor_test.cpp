// Closing, cancelling and sharing: what happens to whoever waits on a descriptor.
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::connect_pair;
using zsync::test::listen_anywhere;
using zsync::test::matrix;

namespace {

constexpr zsync::test::axes with_policies{.policies = true};

std::error_code read_once(zsync::tcp_stream& s) {
  std::array<char, 16> buffer{};
  std::error_code ec;
  s.read(buffer, ec);
  return ec;
}

// Takes `steps` turns, so that whatever the test disturbs is at another point each time.
void take_turns(int steps) {
  for (int i = 0; i < steps; ++i) zsync::this_fiber::yield();
}

}  // namespace

TEST_CASE("a read that is cancelled at any step either has its bytes or leaves them", "[io][cancel]") {
  matrix(with_policies, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          for (int step = 0; step < 60; ++step) {
            auto [a, b] = connect_pair();
            std::size_t taken = 0;
            zsync::fiber reader([&, &a = a] {
              std::array<char, 16> buffer{};
              std::error_code ec;
              taken = a.read(buffer, ec);
              return ec;
            });
            take_turns(step % 7);
            if (step % 3 == 0) b.write_all("1234");
            take_turns(step % 5);
            reader.cancel();
            const std::error_code ec = reader.join();
            REQUIRE((ec ? ec == std::errc::operation_canceled && taken == 0 : taken == 4));
            if (step % 3 != 0) {
              REQUIRE(ec == std::errc::operation_canceled);
              b.write_all("1234");
            }
            if (taken == 0) {
              std::array<char, 16> buffer{};
              REQUIRE(a.read(buffer) == 4);
            }
          }
        },
        options);
  });
}

TEST_CASE("an accept that is cancelled at any step loses no connection and no descriptor", "[io][cancel]") {
  matrix(with_policies, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          for (int step = 0; step < 40; ++step) {
            auto listener = listen_anywhere();
            bool accepted = false;
            zsync::fiber acceptor([&] {
              std::error_code ec;
              auto peer = listener.accept(ec);
              accepted = peer.is_open();
              return ec;
            });
            take_turns(step % 5);
            auto client = zsync::tcp_stream::connect(listener.local_address());
            take_turns(step % 3);
            acceptor.cancel();
            const std::error_code ec = acceptor.join();
            REQUIRE(accepted == !ec);
            if (!accepted) REQUIRE(listener.accept().is_open());
          }
        },
        options);
  });
}

TEST_CASE("a connect that nobody answers can be cancelled, and has its deadline", "[io][cancel]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          // A listener whose backlog is full answers no more.
          const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          const auto any = zsync::socket_address::parse("127.0.0.1:0");
          REQUIRE(::bind(fd, any.native(), any.native_size()) == 0);
          REQUIRE(::listen(fd, 0) == 0);
          zsync::tcp_listener listener(zsync::from_fd, fd);
          const auto to = listener.local_address();
          std::vector<zsync::tcp_stream> filling;
          std::error_code ec;
          while (!ec) {
            const zsync::deadline_scope scope(50ms);
            filling.push_back(zsync::tcp_stream::connect(to, ec));
          }
          REQUIRE(ec == std::errc::timed_out);
          zsync::fiber connecting([&] {
            std::error_code failure;
            zsync::tcp_stream::connect(to, failure);
            return failure;
          });
          zsync::this_fiber::sleep_for(5ms);
          connecting.cancel();
          REQUIRE(connecting.join() == std::errc::operation_canceled);
        },
        options);
  });
}

TEST_CASE("a refused connection is an error by value", "[io]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto listener = listen_anywhere();
          const auto to = listener.local_address();
          listener.close();
          std::error_code ec;
          zsync::tcp_stream::connect(to, ec);
          REQUIRE(ec == std::errc::connection_refused);
          REQUIRE_THROWS_AS(zsync::tcp_stream::connect(to), std::system_error);
        },
        options);
  });
}

TEST_CASE("close at any step wakes the reader, from any worker", "[io][close]") {
  matrix(with_policies, [](const zsync::runtime_options& options) {
    zsync::run(
        [&] {
          const int workers = static_cast<int>(options.workers);
          for (int step = 0; step < 80; ++step) {
            auto [a, b] = connect_pair();
            zsync::fiber reader = zsync::spawn(zsync::spawn_options{.worker = step % workers},
                                               [&, &a = a] { return read_once(a); });
            take_turns(step % 6);
            zsync::fiber closer =
                zsync::spawn(zsync::spawn_options{.worker = (step / 2) % workers}, [&a = a] { a.close(); });
            closer.join();
            REQUIRE(reader.join() == zsync::error::closed);
            REQUIRE(b.read_all().empty());
          }
        },
        options);
  });
}

TEST_CASE("close reaches the peer although a duplicate of the descriptor is open", "[io][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          const int duplicate = ::dup(a.native_handle());
          zsync::fiber reader([&, &a = a] { return read_once(a); });
          zsync::this_fiber::sleep_for(5ms);
          a.close();
          REQUIRE(reader.join() == zsync::error::closed);
          const zsync::deadline_scope scope(2s);
          REQUIRE(b.read_all().empty());
          ::close(duplicate);
        },
        options);
  });
}

TEST_CASE("a socket that nobody uses can be closed while a child process keeps it", "[io][close]") {
  zsync::run([] {
    auto [a, b] = connect_pair();
    const int duplicate = ::dup(a.native_handle());
    a.close();
    REQUIRE(::write(duplicate, "x", 1) == 1);
    std::array<char, 4> buffer{};
    REQUIRE(b.read(buffer) == 1);
    ::close(duplicate);
  });
}

TEST_CASE("close wakes plain threads, and threads wake fibers by closing", "[io][close][thread]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::runtime runtime(options);
    auto [a, b] = connect_pair();
    std::error_code seen;
    std::thread reader([&, &a = a] { seen = read_once(a); });
    std::this_thread::sleep_for(10ms);
    runtime.block_on([&a = a] { a.close(); });
    reader.join();
    REQUIRE(seen == zsync::error::closed);

    auto waiting = runtime.spawn([&, &b = b] { return read_once(b); });
    // The peer has been closed, so this one reads the end of the stream.
    REQUIRE(!waiting.join());
    auto [c, d] = connect_pair();
    auto parked = runtime.spawn([&, &c = c] { return read_once(c); });
    std::this_thread::sleep_for(10ms);
    c.close();
    REQUIRE(parked.join() == zsync::error::closed);
  });
}

TEST_CASE("two fibers may read one socket, and each byte reaches one of them", "[io]") {
  matrix(with_policies, [](const zsync::runtime_options& options) {
    zsync::run(
        [&] {
          auto [a, b] = connect_pair();
          constexpr std::size_t total = 100'000;
          std::atomic<std::size_t> received{0};
          std::vector<zsync::fiber<void>> readers;
          for (int i = 0; i < 4; ++i) {
            readers.push_back(zsync::spawn(
                zsync::spawn_options{.worker = i % static_cast<int>(options.workers)}, [&, &a = a] {
                  std::array<char, 7> buffer{};
                  while (const std::size_t n = a.read(buffer)) received += n;
                }));
          }
          const std::vector<char> chunk(1000);
          for (std::size_t done = 0; done < total; done += chunk.size()) {
            b.write_all(chunk);
            if (done % 10'000 == 0) zsync::this_fiber::sleep_for(1ms);
          }
          b.shutdown(zsync::shutdown_send);
          for (auto& reader : readers) reader.join();
          REQUIRE(received == total);
        },
        options);
  });
}

TEST_CASE("many acceptors on all workers share a listener, and one connection is one accept", "[io]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [&] {
          auto listener = listen_anywhere();
          std::atomic<int> accepted{0};
          std::vector<zsync::fiber<void>> acceptors;
          for (int i = 0; i < 100; ++i) {
            acceptors.push_back(
                zsync::spawn(zsync::spawn_options{.worker = i % static_cast<int>(options.workers)}, [&] {
                  std::error_code ec;
                  while (auto peer = listener.accept(ec)) ++accepted;
                }));
          }
          std::vector<zsync::tcp_stream> clients;
          for (int i = 0; i < 300; ++i)
            clients.push_back(zsync::tcp_stream::connect(listener.local_address()));
          const auto until = zsync::clock::now() + 20s;
          while (accepted < 300 && zsync::clock::now() < until) zsync::this_fiber::sleep_for(1ms);
          listener.close();
          for (auto& acceptor : acceptors) acceptor.join();
          REQUIRE(accepted == 300);
        },
        options);
  });
}

TEST_CASE("a stream outlives its runtime and goes on in another", "[io]") {
  matrix([](const zsync::runtime_options& options) {
    std::optional<zsync::test::connection> kept;
    zsync::run(
        [&] {
          kept = connect_pair();
          zsync::fiber writer([&] { kept->server.write_all("one"); });
          std::array<char, 3> buffer{};
          kept->client.read_exact(buffer);
          zsync::fiber reader([&] { read_once(kept->client); });
          zsync::this_fiber::sleep_for(2ms);
          reader.cancel();
        },
        options);
    // On a plain thread, and then on each backend.
    kept->server.write_all("two");
    std::array<char, 3> buffer{};
    kept->client.read_exact(buffer);
    for (const zsync::io_backend backend : zsync::test::available_backends()) {
      auto other = options;
      other.backend = backend;
      zsync::run(
          [&] {
            zsync::fiber writer([&] {
              zsync::this_fiber::sleep_for(2ms);
              kept->server.write_all("six");
            });
            kept->client.read_exact(buffer);
          },
          other);
    }
    REQUIRE(std::string(buffer.data(), 3) == "six");
  });
}

TEST_CASE("runtimes of different backends use one stream at the same time", "[io]") {
  const auto backends = zsync::test::available_backends();
  auto [a, b] = connect_pair();
  std::vector<std::unique_ptr<zsync::runtime>> runtimes;
  std::vector<zsync::fiber<std::error_code>> readers;
  std::atomic<int> received{0};
  for (const zsync::io_backend backend : {backends.back(), backends.front()}) {
    runtimes.push_back(
        std::make_unique<zsync::runtime>(zsync::runtime_options{.workers = 1, .backend = backend}));
    readers.push_back(runtimes.back()->spawn([&, &a = a] {
      std::array<char, 1> buffer{};
      std::error_code ec;
      while (a.read(buffer, ec) == 1) ++received;
      return ec;
    }));
    std::this_thread::sleep_for(5ms);  // so that the first is the descriptor's home
  }
  for (int i = 0; i < 200; ++i) {
    b.write_all("x");
    if (i % 20 == 0) std::this_thread::sleep_for(1ms);
  }
  const auto until = zsync::clock::now() + 20s;
  while (received < 200 && zsync::clock::now() < until) std::this_thread::sleep_for(1ms);
  CHECK(received == 200);
  a.close();
  for (auto& reader : readers) CHECK(reader.join() == zsync::error::closed);
}

TEST_CASE("a close wakes whoever waits for a pipe in a runtime of another backend than its home's",
          "[io][close]") {
  const auto backends = zsync::test::available_backends();
  auto [reader, writer] = zsync::pipe();
  std::vector<std::unique_ptr<zsync::runtime>> runtimes;
  std::vector<zsync::fiber<std::error_code>> waiting;
  for (const zsync::io_backend backend : {backends.back(), backends.front()}) {
    runtimes.push_back(
        std::make_unique<zsync::runtime>(zsync::runtime_options{.workers = 1, .backend = backend}));
    waiting.push_back(runtimes.back()->spawn([&, &reader = reader] {
      const zsync::deadline_scope at_most(5s);
      std::array<char, 16> buffer{};
      std::error_code ec;
      reader.read(buffer, ec);
      return ec;
    }));
    std::this_thread::sleep_for(5ms);  // so that the first is the descriptor's home
  }
  const auto begin = zsync::clock::now();
  reader.close();
  for (auto& each : waiting) CHECK(each.join() == zsync::error::closed);
  CHECK(zsync::clock::now() - begin < 2s);
}

TEST_CASE("a descriptor's number can be reused at once, and late events miss the new socket", "[io][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto listener = listen_anywhere();
          const auto to = listener.local_address();
          zsync::fiber server([&] {
            std::error_code ec;
            while (auto peer = listener.accept(ec)) {
              zsync::spawn([p = std::move(peer)]() mutable {
                std::array<char, 8> buffer{};
                std::error_code failure;
                const std::size_t n = p.read(buffer, failure);
                if (n != 0) p.write_all({buffer.data(), n}, failure);
              }).detach();
            }
          });
          std::vector<zsync::fiber<int>> clients;
          for (int i = 0; i < 8; ++i) {
            clients.push_back(zsync::spawn([&, i] {
              int wrong = 0;
              for (int round = 0; round < 200; ++round) {
                auto s = zsync::tcp_stream::connect(to);
                std::string mine = std::to_string(i * 1000 + round);
                mine.resize(8, '.');
                s.write_all(mine);
                std::string back(8, ' ');
                if (round % 5 == 0) continue;  // leaves an answer on its way to a closed socket
                s.read_exact(back);
                wrong += back != mine;
              }
              return wrong;
            }));
          }
          for (auto& client : clients) REQUIRE(client.join() == 0);
          listener.close();
          server.join();
        },
        options);
  });
}

TEST_CASE("writing to a peer that has reset the connection is an error, not a signal", "[io][signal]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          b.set_linger(0s);
          b = {};  // resets it
          std::array<char, 4> buffer{};
          std::error_code ec;
          a.read(buffer, ec);
          REQUIRE(ec == std::errc::connection_reset);
          for (int i = 0; i < 3; ++i) a.write("x", ec);
          REQUIRE((ec == std::errc::broken_pipe || ec == std::errc::connection_reset));
          const std::array<zsync::const_buffer, 2> two{zsync::const_buffer("x"), zsync::const_buffer("y")};
          a.writev(two, ec);
          REQUIRE((ec == std::errc::broken_pipe || ec == std::errc::connection_reset));
        },
        options);
  });
}

TEST_CASE("out of descriptors accept says so, does not spin, and recovers", "[io][serial]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto listener = listen_anywhere();
          std::vector<zsync::tcp_stream> clients;
          clients.push_back(zsync::tcp_stream::connect(listener.local_address()));
          std::vector<zsync::tcp_stream> accepted;
          accepted.push_back(listener.accept());
          clients.push_back(zsync::tcp_stream::connect(listener.local_address()));
          rlimit before{};
          ::getrlimit(RLIMIT_NOFILE, &before);
          rlimit none = before;
          none.rlim_cur = static_cast<rlim_t>(clients.back().native_handle()) + 1;
          // No number below the limit may be free.
          std::vector<int> fillers;
          for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) {
            fillers.push_back(fd);
            if (fd > clients.back().native_handle()) break;
          }
          ::setrlimit(RLIMIT_NOFILE, &none);
          int failures = 0;
          std::error_code ec;
          const auto until = zsync::clock::now() + 100ms;
          while (zsync::clock::now() < until) {
            listener.accept(ec);
            failures += ec == std::errc::too_many_files_open;
          }
          ::setrlimit(RLIMIT_NOFILE, &before);
          for (const int fd : fillers) ::close(fd);
          REQUIRE(failures >= 2);
          REQUIRE(failures <= 20);
          REQUIRE(listener.accept().is_open());
        },
        options);
  });
}

TEST_CASE("a released descriptor stays open and is its new owner's", "[io]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          std::array<char, 4> buffer{};
          {
            const zsync::deadline_scope scope(2ms);
            std::error_code ec;
            a.read(buffer, ec);  // so that it is registered
          }
          const int fd = a.release();
          REQUIRE(fd >= 0);
          REQUIRE(!a.is_open());
          b.write_all("hi");
          zsync::tcp_stream again(zsync::from_fd, fd);
          REQUIRE(again.read(buffer) == 2);
          b.shutdown(zsync::shutdown_send);
          REQUIRE(again.read(buffer) == 0);
        },
        options);
  });
}

TEST_CASE("a stream splits into halves for two fibers", "[io]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = connect_pair();
          auto [in, out] = a.split();
          REQUIRE(!a.is_open());
          zsync::fiber echo([&, &b = b] {
            std::array<char, 100> buffer{};
            while (const std::size_t n = b.read(buffer)) b.write_all({buffer.data(), n});
            b.close();
          });
          zsync::fiber writer([o = std::move(out)]() mutable {
            for (int i = 0; i < 100; ++i) o.write_all("0123456789");
            ::shutdown(o.native_handle(), SHUT_WR);
          });
          REQUIRE(in.read_all().size() == 1000);
          writer.join();
          echo.join();
        },
        options);
  });
}
