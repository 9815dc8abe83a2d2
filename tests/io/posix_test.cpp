#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace posix = zsync::posix;

namespace {

// Who looks at errno after one call that waits and again after another means the same thread by both.
template <class F>
void matrix(F body) {
  zsync::test::matrix({.pinned_only = true}, body);
}

// Two blocking sockets, connected.
struct sockets {
  sockets() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0); }
  ~sockets() {
    for (const int fd : ends) {
      if (fd >= 0) ::close(fd);
    }
  }
  int ends[2];
};

// Counts how often others ran meanwhile: proof that the worker was not blocked.
class bystander {
 public:
  bystander()
      : fiber_([this] {
          while (!stop_) {
            ++turns_;
            zsync::this_fiber::sleep_for(1ms);
          }
        }) {}
  ~bystander() {
    stop_ = true;
    fiber_.join();
  }
  [[nodiscard]] int turns() const { return turns_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> turns_{0};
  zsync::fiber<void> fiber_;
};

}  // namespace

TEST_CASE("posix reads and writes let others run", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          sockets s;
          int pipe_ends[2];
          REQUIRE(::pipe(pipe_ends) == 0);
          const bystander other;
          zsync::fiber writer([&] {
            while (other.turns() < 4) zsync::this_fiber::sleep_for(1ms);
            posix::write(s.ends[1], "socket", 6);
            posix::write(pipe_ends[1], "pipe", 4);
          });
          std::array<char, 16> buffer{};
          REQUIRE(posix::recv(s.ends[0], buffer.data(), buffer.size(), 0) == 6);
          REQUIRE(posix::read(pipe_ends[0], buffer.data(), buffer.size()) == 4);
          writer.join();
          for (const int fd : pipe_ends) ::close(fd);
        },
        options);
  });
}

TEST_CASE("posix calls that never have to wait let others run all the same", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const sockets s;
          bool stop = false;
          int turns = 0;
          const zsync::spawn_options here{.worker = 0};
          zsync::fiber other(here, [&] {
            while (!stop) {
              ++turns;
              zsync::this_fiber::yield();
            }
          });
          const auto turns_during = [&](auto call) {
            zsync::this_fiber::yield();
            const int before = turns;
            for (int i = 0; i < 1000; ++i) call();
            return turns - before;
          };
          zsync::fiber busy(here, [&] {
            char byte = 'x';
            const int moved = turns_during([&] {
              posix::write(s.ends[0], &byte, 1);
              posix::read(s.ends[1], &byte, 1);
            });
            const int sent = turns_during([&] {
              posix::send(s.ends[0], &byte, 1, 0);
              posix::recv(s.ends[1], &byte, 1, 0);
            });
            const int refused = turns_during([&] { posix::recv(s.ends[1], &byte, 1, MSG_DONTWAIT); });
            pollfd p{s.ends[1], POLLIN, 0};
            const int polled = turns_during([&] { posix::poll(&p, 1, 0); });
            stop = true;
            return std::array{moved, sent, refused, polled};
          });
          for (const int each : busy.join()) REQUIRE(each >= 10);
        },
        options);
  });
}

TEST_CASE("posix calls on non-blocking descriptors do not wait", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          sockets s;
          std::array<char, 16> buffer{};
          REQUIRE(posix::recv(s.ends[0], buffer.data(), buffer.size(), MSG_DONTWAIT) == -1);
          REQUIRE(errno == EAGAIN);
          ::fcntl(s.ends[0], F_SETFL, O_NONBLOCK);
          REQUIRE(posix::recv(s.ends[0], buffer.data(), buffer.size(), 0) == -1);
          REQUIRE(errno == EAGAIN);
          REQUIRE(posix::read(s.ends[0], buffer.data(), buffer.size()) == -1);
          REQUIRE(errno == EAGAIN);
        },
        options);
  });
}

TEST_CASE("posix honours SO_RCVTIMEO, MSG_PEEK and MSG_WAITALL", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          sockets s;
          std::array<char, 16> buffer{};
          const timeval t{0, 20'000};
          ::setsockopt(s.ends[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
          const auto begin = zsync::clock::now();
          REQUIRE(posix::recv(s.ends[0], buffer.data(), buffer.size(), 0) == -1);
          REQUIRE(errno == EAGAIN);
          REQUIRE(zsync::clock::now() - begin >= 20ms);
          const timeval none{0, 0};
          ::setsockopt(s.ends[0], SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
          zsync::fiber writer([&] {
            for (int i = 0; i < 4; ++i) {
              zsync::this_fiber::sleep_for(2ms);
              posix::send(s.ends[1], "abcd", 4, 0);
            }
          });
          REQUIRE(posix::recv(s.ends[0], buffer.data(), 2, MSG_PEEK) == 2);
          REQUIRE(posix::recv(s.ends[0], buffer.data(), buffer.size(), MSG_WAITALL) == 16);
          REQUIRE(std::string(buffer.data(), 16) == "abcdabcdabcdabcd");
          writer.join();
        },
        options);
  });
}

TEST_CASE("MSG_WAITALL goes on over all buffers of a stream, and waits for one datagram only", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const sockets s;
          zsync::fiber writer([&] {
            for (int i = 0; i < 6; ++i) {
              zsync::this_fiber::sleep_for(1ms);
              posix::send(s.ends[1], "abcd", 4, 0);
            }
          });
          std::array<char, 3> head{};
          std::array<char, 13> tail{};
          std::array<iovec, 2> vector{iovec{head.data(), head.size()}, iovec{tail.data(), tail.size()}};
          msghdr message{};
          message.msg_iov = vector.data();
          message.msg_iovlen = vector.size();
          REQUIRE(posix::recvmsg(s.ends[0], &message, MSG_WAITALL) == 16);
          REQUIRE(std::string(head.data(), 3) + std::string(tail.data(), 13) == "abcdabcdabcdabcd");
          sockaddr_storage from{};
          socklen_t length = sizeof from;
          REQUIRE(posix::recvfrom(s.ends[0], tail.data(), 8, MSG_WAITALL, reinterpret_cast<sockaddr*>(&from),
                                  &length) == 8);
          writer.join();

          int ends[2];
          REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
          posix::send(ends[1], "one", 3, 0);
          const zsync::deadline_scope at_most(2s);
          const auto begin = zsync::clock::now();
          REQUIRE(posix::recv(ends[0], tail.data(), tail.size(), MSG_WAITALL) == 3);
          zsync::fiber later([&] {
            zsync::this_fiber::sleep_for(1ms);
            posix::send(ends[1], "two", 3, 0);
          });
          REQUIRE(posix::recv(ends[0], tail.data(), tail.size(), MSG_WAITALL) == 3);
          REQUIRE(zsync::clock::now() - begin < 1s);
          later.join();
          for (const int fd : ends) ::close(fd);
        },
        options);
  });
}

TEST_CASE("a posix write to a blocking descriptor goes on until all is written", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          sockets s;
          const std::string much(2'000'000, 'm');
          zsync::fiber reader([&] {
            std::vector<char> buffer(50'000);
            std::size_t total = 0;
            while (total < 2 * much.size()) {
              total += static_cast<std::size_t>(posix::read(s.ends[0], buffer.data(), buffer.size()));
            }
            return total;
          });
          REQUIRE(posix::write(s.ends[1], much.data(), much.size()) == static_cast<ssize_t>(much.size()));
          REQUIRE(posix::send(s.ends[1], much.data(), much.size(), 0) == static_cast<ssize_t>(much.size()));
          REQUIRE(reader.join() == 2 * much.size());
          ::close(s.ends[0]);
          s.ends[0] = -1;
          REQUIRE(posix::send(s.ends[1], "x", 1, 0) == -1);
          REQUIRE(errno == EPIPE);
          REQUIRE(posix::write(s.ends[1], "x", 1) == -1);
          REQUIRE(errno == EPIPE);
        },
        options);
  });
}

TEST_CASE("posix accept and connect work on blocking sockets", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          sockaddr_in a{};
          a.sin_family = AF_INET;
          a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
          socklen_t size = sizeof a;
          REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
          REQUIRE(::listen(listener, 16) == 0);
          ::getsockname(listener, reinterpret_cast<sockaddr*>(&a), &size);
          zsync::fiber client([&] {
            zsync::this_fiber::sleep_for(3ms);
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const int result = posix::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a);
            const bool blocking = (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
            posix::send(fd, "hi", 2, 0);
            posix::close(fd);
            return result == 0 && blocking;
          });
          sockaddr_in from{};
          socklen_t length = sizeof from;
          const int peer = posix::accept(listener, reinterpret_cast<sockaddr*>(&from), &length);
          REQUIRE(peer >= 0);
          REQUIRE(from.sin_addr.s_addr == a.sin_addr.s_addr);
          std::array<char, 4> buffer{};
          REQUIRE(posix::read(peer, buffer.data(), 4) == 2);
          REQUIRE(posix::read(peer, buffer.data(), 4) == 0);
          REQUIRE(client.join());
          posix::close(peer);
          posix::close(listener);
          const int refused = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          REQUIRE(posix::connect(refused, reinterpret_cast<sockaddr*>(&a), sizeof a) == -1);
          REQUIRE(errno == ECONNREFUSED);
          ::close(refused);
        },
        options);
  });
}

TEST_CASE("a posix connect to a full unix listener ends by SO_SNDTIMEO", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
          sockaddr_un a{};
          a.sun_family = AF_UNIX;
          socklen_t size = sizeof a.sun_family;  // a name of the kernel's choice
          REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&a), size) == 0);
          REQUIRE(::listen(listener, 0) == 0);
          size = sizeof a;
          REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&a), &size) == 0);
          const auto connect = [&](int fd) {
            return posix::connect(fd, reinterpret_cast<sockaddr*>(&a), size);
          };
          const int first = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
          const int second = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
          REQUIRE(connect(first) == 0);
          const timeval limit{0, 20'000};
          REQUIRE(::setsockopt(second, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
          const zsync::deadline_scope patience(10s);
          const auto begin = zsync::clock::now();
          REQUIRE(connect(second) == -1);
          REQUIRE(errno == EAGAIN);
          REQUIRE(zsync::clock::now() - begin >= 20ms);
          for (const int fd : {first, second, listener}) ::close(fd);
        },
        options);
  });
}

TEST_CASE("posix poll and select wait for many descriptors", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          std::vector<sockets> all(50);
          std::vector<pollfd> set;
          for (const auto& s : all) set.push_back({s.ends[0], POLLIN, 0});
          set.push_back({-1, POLLIN, 0});
          REQUIRE(posix::poll(set.data(), set.size(), 0) == 0);
          const auto begin = zsync::clock::now();
          REQUIRE(posix::poll(set.data(), set.size(), 15) == 0);
          REQUIRE(zsync::clock::now() - begin >= 15ms);
          zsync::fiber writer([&] {
            zsync::this_fiber::sleep_for(3ms);
            posix::send(all[37].ends[1], "x", 1, 0);
          });
          REQUIRE(posix::poll(set.data(), set.size(), -1) == 1);
          REQUIRE(set[37].revents == POLLIN);
          writer.join();
          fd_set in;
          FD_ZERO(&in);
          FD_SET(all[36].ends[0], &in);
          FD_SET(all[37].ends[0], &in);
          timeval t{1, 0};
          REQUIRE(posix::select(all[37].ends[0] + 1, &in, nullptr, nullptr, &t) == 1);
          REQUIRE(FD_ISSET(all[37].ends[0], &in));
          REQUIRE(!FD_ISSET(all[36].ends[0], &in));
          FD_ZERO(&in);
          t = {0, 5000};
          REQUIRE(posix::select(0, &in, nullptr, nullptr, &t) == 0);
        },
        options);
  });
}

TEST_CASE("two fibers share a posix descriptor, one for each direction", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          sockets s;
          constexpr std::size_t total = 3'000'000;
          const auto pump_out = [](int fd) {
            const std::string chunk(10'000, 'c');
            for (std::size_t done = 0; done < total; done += chunk.size())
              posix::write(fd, chunk.data(), chunk.size());
          };
          const auto pump_in = [](int fd) {
            std::vector<char> buffer(7'000);
            std::size_t done = 0;
            while (done < total)
              done += static_cast<std::size_t>(posix::recv(fd, buffer.data(), buffer.size(), 0));
            return done;
          };
          zsync::fiber w0([&] { pump_out(s.ends[0]); });
          zsync::fiber w1([&] { pump_out(s.ends[1]); });
          zsync::fiber r0([&] { return pump_in(s.ends[0]); });
          REQUIRE(pump_in(s.ends[1]) == total);
          REQUIRE(r0.join() == total);
          w0.join();
          w1.join();
        },
        options);
  });
}

TEST_CASE("posix sleeps are as long as asked, and a cancelled fiber gets ECANCELED", "[posix][cancel]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const auto begin = zsync::clock::now();
          REQUIRE(posix::usleep(5000) == 0);
          REQUIRE(zsync::clock::now() - begin >= 5ms);
          sockets s;
          zsync::fiber reader([&] {
            char c = 0;
            return posix::read(s.ends[0], &c, 1) == -1 ? errno : 0;
          });
          zsync::this_fiber::sleep_for(2ms);
          reader.cancel();
          REQUIRE(reader.join() == ECANCELED);
          const zsync::deadline_scope scope(5ms);
          char c = 0;
          REQUIRE(posix::read(s.ends[0], &c, 1) == -1);
          REQUIRE(errno == ETIMEDOUT);
        },
        options);
  });
}

TEST_CASE("posix close wakes those who wait on whichever worker", "[posix][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [&] {
          const int last = static_cast<int>(options.workers) - 1;
          for (int round = 0; round < 50; ++round) {
            sockets s;
            std::atomic<int> begun{0};
            const auto reader = [&] {
              char byte = 0;
              ++begun;
              const ssize_t n = posix::read(s.ends[0], &byte, 1);
              return n < 0 && errno == EBADF;
            };
            zsync::fiber first(zsync::spawn_options{.worker = last}, reader);
            zsync::fiber second(zsync::spawn_options{.worker = 0}, reader);
            while (begun != 2) zsync::this_fiber::yield();
            if (round % 2 == 0) zsync::this_fiber::sleep_for(1ms);
            const int duplicate = ::dup(s.ends[0]);
            REQUIRE(posix::close(s.ends[0]) == 0);
            REQUIRE(first.join());
            REQUIRE(second.join());
            // As with libc, the socket itself lives on as its duplicate.
            REQUIRE(::write(s.ends[1], "x", 1) == 1);
            char byte = 0;
            REQUIRE(posix::read(duplicate, &byte, 1) == 1);
            ::close(duplicate);
            s.ends[0] = -1;
          }
        },
        options);
  });
}

TEST_CASE("of many who accept from a blocking listener none blocks his worker", "[posix]") {
  matrix([](const zsync::runtime_options& options) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof where;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&where), size) == 0);
    REQUIRE(::listen(listener, 64) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&where), &size) == 0);
    const auto to = zsync::socket_address::from_native(reinterpret_cast<const sockaddr*>(&where), size);
    std::atomic<int> accepted{0};
    std::atomic<bool> stop{false};
    // Takes what the fibers were told of.
    std::thread thief([&] {
      const int own = ::dup(listener);
      while (!stop) {
        pollfd p{own, POLLIN, 0};
        if (::poll(&p, 1, 0) != 1 || stop) continue;
        const int fd = ::accept(own, nullptr, nullptr);
        if (fd >= 0) ::close(fd);
        accepted += fd >= 0;
      }
      ::close(own);
    });
    zsync::run(
        [&] {
          std::vector<zsync::fiber<>> acceptors;
          for (unsigned i = 0; i < 4 * options.workers; ++i) {
            acceptors.emplace_back(zsync::spawn_options{.worker = static_cast<int>(i % options.workers)},
                                   [&] {
                                     for (;;) {
                                       const int fd = posix::accept(listener, nullptr, nullptr);
                                       if (fd < 0) return;
                                       ::close(fd);
                                       ++accepted;
                                     }
                                   });
          }
          constexpr int at_once = 16;
          for (int i = 1; i <= 100; ++i) {
            std::vector<zsync::fiber<>> clients;
            for (int c = 0; c < at_once; ++c) clients.emplace_back([&] { zsync::tcp_stream::connect(to); });
            for (auto& one : clients) one.join();
            while (accepted < i * at_once) zsync::this_fiber::sleep_for(20us);
            for (unsigned w = 0; w < options.workers; ++w) {
              zsync::fiber alive(zsync::spawn_options{.worker = static_cast<int>(w)}, [] {});
              alive.join();
            }
          }
          REQUIRE((::fcntl(listener, F_GETFL) & O_NONBLOCK) == 0);
          posix::close(listener);
          for (auto& one : acceptors) one.join();
        },
        options);
    stop = true;
    std::error_code ignored;
    zsync::tcp_stream::connect(to, ignored);  // should it be waiting for one
    thief.join();
  });
}
