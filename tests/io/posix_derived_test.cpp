// The calls of zsync::posix that are made of others. With one worker, a call that blocked it would keep the
// other fiber from doing what it waits for.
#include "support/in_fiber.hpp"

#include <zsync/io/posix.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/scope.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace posix = zsync::posix;
namespace test = zsync::test;

namespace {

// Two blocking sockets, connected.
struct sockets {
  explicit sockets(int type) { REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0); }
  ~sockets() {
    for (const int fd : ends) ::close(fd);
  }
  sockets(const sockets&) = delete;
  sockets& operator=(const sockets&) = delete;

  int ends[2];
};

// Messages of one buffer each.
class messages {
 public:
  messages(std::size_t count, std::size_t size) : buffers_(count, std::string(size, '?')) { attach(); }
  explicit messages(std::vector<std::string> texts) : buffers_(std::move(texts)) { attach(); }

  [[nodiscard]] mmsghdr* data() { return headers_.data(); }
  [[nodiscard]] unsigned size() const { return static_cast<unsigned>(headers_.size()); }
  [[nodiscard]] std::string text(std::size_t i) const { return buffers_[i].substr(0, headers_[i].msg_len); }

 private:
  void attach() {
    vectors_.resize(buffers_.size());
    headers_.resize(buffers_.size());
    for (std::size_t i = 0; i != buffers_.size(); ++i) {
      vectors_[i] = {buffers_[i].data(), buffers_[i].size()};
      headers_[i].msg_hdr.msg_iov = &vectors_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  std::vector<std::string> buffers_;
  std::vector<iovec> vectors_;
  std::vector<mmsghdr> headers_;
};

int error_after(int result) { return result < 0 ? errno : 0; }

}  // namespace

TEST_CASE("posix::recvmmsg waits for as many datagrams as it was asked for", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    zsync::fiber sender([&] {
      for (const char* text : {"one", "two", "three"}) {
        zsync::this_fiber::sleep_for(1ms);
        posix::send(s.ends[1], text, std::char_traits<char>::length(text), 0);
      }
    });
    messages in(3, 16);
    REQUIRE(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, nullptr) == 3);
    CHECK(in.text(0) == "one");
    CHECK(in.text(1) == "two");
    CHECK(in.text(2) == "three");
    sender.join();
  });
}

TEST_CASE("posix::recvmmsg with MSG_WAITFORONE waits for one, and takes those that are there", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    messages in(3, 16);
    zsync::fiber sender([&] {
      zsync::this_fiber::sleep_for(1ms);
      posix::send(s.ends[1], "one", 3, 0);
    });
    REQUIRE(posix::recvmmsg(s.ends[0], in.data(), in.size(), MSG_WAITFORONE, nullptr) == 1);
    CHECK(in.text(0) == "one");
    sender.join();

    posix::send(s.ends[1], "two", 3, 0);
    posix::send(s.ends[1], "three", 5, 0);
    REQUIRE(posix::recvmmsg(s.ends[0], in.data(), in.size(), MSG_WAITFORONE, nullptr) == 2);
    CHECK(in.text(1) == "three");
  });
}

TEST_CASE("posix::recvmmsg ends with what has come when its time is over, and by its flags and modes",
          "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    messages in(3, 16);
    const auto started = zsync::clock::now();
    timespec t{0, 2'000'000};
    errno = 0;
    CHECK(error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, &t)) == EAGAIN);
    CHECK(zsync::clock::now() - started >= 2ms);
    CHECK((t.tv_sec == 0 && t.tv_nsec == 0));

    posix::send(s.ends[1], "one", 3, 0);
    t = {0, 2'000'000};
    CHECK(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, &t) == 1);
    CHECK(error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), MSG_DONTWAIT, nullptr)) == EAGAIN);
    t = {0, 1'000'000'000};
    CHECK(error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, &t)) == EINVAL);
    CHECK(posix::recvmmsg(s.ends[0], in.data(), 0, 0, nullptr) == 0);
    CHECK(error_after(posix::recvmmsg(-1, in.data(), in.size(), 0, nullptr)) == EBADF);

    REQUIRE(::fcntl(s.ends[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, nullptr)) == EAGAIN);
    posix::send(s.ends[1], "two", 3, 0);
    CHECK(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, nullptr) == 1);
  });
}

TEST_CASE("posix::recvmmsg ends by cancellation and by a deadline scope around it", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    messages in(2, 16);
    {
      const zsync::deadline_scope scope(1ms);
      timespec t{60, 0};
      CHECK(error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, &t)) == ETIMEDOUT);
    }
    zsync::fiber reader(
        [&] { return error_after(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, nullptr)); });
    zsync::this_fiber::sleep_for(1ms);
    reader.cancel();
    CHECK(reader.join() == ECANCELED);
  });
}

TEST_CASE("posix::sendmmsg waits for room, and loses no datagram", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    constexpr int batches = 20;
    zsync::fiber sender([&] {
      int sent = 0;
      for (int i = 0; i != batches; ++i) {
        messages out(std::vector<std::string>(50, std::string(4000, static_cast<char>('a' + i))));
        sent += posix::sendmmsg(s.ends[1], out.data(), out.size(), 0);
      }
      return sent;
    });
    std::string data(8000, '\0');
    for (int i = 0; i != batches * 50; ++i) {
      REQUIRE(posix::recv(s.ends[0], data.data(), data.size(), 0) == 4000);
      REQUIRE(data[0] == static_cast<char>('a' + i / 50));
    }
    CHECK(sender.join() == batches * 50);
  });
}

TEST_CASE("posix::sendmmsg on a stream sends the whole of a message before the next", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_STREAM);
    const std::size_t size = 1 << 20;
    zsync::fiber sender([&] {
      messages out({std::string(size, 'a'), std::string(size, 'b')});
      const int n = posix::sendmmsg(s.ends[1], out.data(), out.size(), 0);
      const bool whole = out.data()[0].msg_len == size && out.data()[1].msg_len == size;
      ::shutdown(s.ends[1], SHUT_WR);
      return whole ? n : -1;
    });
    std::string all;
    std::array<char, 64 * 1024> part{};
    for (ssize_t n = 0; (n = posix::recv(s.ends[0], part.data(), part.size(), 0)) > 0;) {
      all.append(part.data(), static_cast<std::size_t>(n));
    }
    CHECK((all == std::string(size, 'a') + std::string(size, 'b')));  // not printed: 2 MiB
    CHECK(sender.join() == 2);
  });
}

TEST_CASE("posix::sendmmsg sends nothing behind a message of which a part has gone", "[posix]") {
  test::in_fiber({.workers = false}, [] {
    const sockets s(SOCK_STREAM);
    const timeval limit{0, 50'000};
    REQUIRE(::setsockopt(s.ends[1], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    messages out({std::string(4 << 20, 'a'), "b"});
    bool ended = false;
    zsync::fiber sender([&] {
      const int n = posix::sendmmsg(s.ends[1], out.data(), out.size(), 0);
      ended = true;
      return n;
    });
    // The first message's time is over: now there is room.
    while (out.data()[0].msg_len == 0 && !ended) zsync::this_fiber::sleep_for(1ms);
    std::array<char, 64 * 1024> part{};
    while (posix::recv(s.ends[0], part.data(), part.size(), MSG_DONTWAIT) > 0) continue;
    CHECK(sender.join() == 1);
    CHECK(out.data()[0].msg_len < (4 << 20));
    CHECK(out.data()[1].msg_len == 0);
  });
}

TEST_CASE("posix::sendmmsg says how many went when the first, or a later one, cannot", "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_DGRAM);
    messages out({"fits", std::string(16 << 20, 'x'), "never"});
    CHECK(posix::sendmmsg(s.ends[1], out.data(), out.size(), 0) == 1);
    messages too_large(std::vector<std::string>{std::string(16 << 20, 'x')});
    CHECK(error_after(posix::sendmmsg(s.ends[1], too_large.data(), 1, 0)) == EMSGSIZE);
  });
}

TEST_CASE("posix::ppoll and pselect wait for what they are to, or for their time, and not a moment less",
          "[posix]") {
  test::in_fiber([] {
    const sockets s(SOCK_STREAM);
    pollfd p{s.ends[0], POLLIN, 0};
    const timespec short_time{0, 1'500'000};
    auto started = zsync::clock::now();
    CHECK(posix::ppoll(&p, 1, &short_time, nullptr) == 0);
    CHECK(zsync::clock::now() - started >= 1500us);

    fd_set in;
    FD_ZERO(&in);
    FD_SET(s.ends[0], &in);
    started = zsync::clock::now();
    CHECK(posix::pselect(s.ends[0] + 1, &in, nullptr, nullptr, &short_time, nullptr) == 0);
    CHECK(zsync::clock::now() - started >= 1500us);
    CHECK(!FD_ISSET(s.ends[0], &in));

    const timespec no_time{0, 0};
    CHECK(posix::ppoll(&p, 1, &no_time, nullptr) == 0);
    const timespec nonsense{0, -1};
    CHECK(error_after(posix::ppoll(&p, 1, &nonsense, nullptr)) == EINVAL);
    CHECK(error_after(posix::pselect(0, nullptr, nullptr, nullptr, &nonsense, nullptr)) == EINVAL);

    const auto soon = [&] {
      return zsync::fiber([&] {
        zsync::this_fiber::sleep_for(1ms);
        posix::send(s.ends[1], "x", 1, 0);
      });
    };
    char byte = 0;
    const timespec minutes{600, 0};
    auto sender = soon();
    CHECK(posix::ppoll(&p, 1, &minutes, nullptr) == 1);
    CHECK(p.revents == POLLIN);
    REQUIRE(posix::recv(s.ends[0], &byte, 1, 0) == 1);
    sender.join();
    sender = soon();
    CHECK(posix::ppoll(&p, 1, nullptr, nullptr) == 1);
    REQUIRE(posix::recv(s.ends[0], &byte, 1, 0) == 1);
    sender.join();
    sender = soon();
    FD_SET(s.ends[0], &in);
    CHECK(posix::pselect(s.ends[0] + 1, &in, nullptr, nullptr, &minutes, nullptr) == 1);
    CHECK(FD_ISSET(s.ends[0], &in));
    sender.join();
  });
}

TEST_CASE("posix::clock_nanosleep waits for a while, or until a time of a clock", "[posix]") {
  test::in_fiber([] {
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
      const auto started = zsync::clock::now();
      const timespec a_while{0, 1'000'000};
      CHECK(posix::clock_nanosleep(clock, 0, &a_while, nullptr) == 0);
      CHECK(zsync::clock::now() - started >= 1ms);

      timespec point{};
      ::clock_gettime(clock, &point);
      CHECK(posix::clock_nanosleep(clock, TIMER_ABSTIME, &point, nullptr) == 0);
      point.tv_nsec += 2'000'000;
      if (point.tv_nsec >= 1'000'000'000) {
        point.tv_nsec -= 1'000'000'000;
        ++point.tv_sec;
      }
      CHECK(posix::clock_nanosleep(clock, TIMER_ABSTIME, &point, nullptr) == 0);
      timespec now{};
      ::clock_gettime(clock, &now);
      CHECK((now.tv_sec > point.tv_sec || (now.tv_sec == point.tv_sec && now.tv_nsec >= point.tv_nsec)));
    }
    const timespec nonsense{0, 1'000'000'000};
    CHECK(posix::clock_nanosleep(CLOCK_MONOTONIC, 0, &nonsense, nullptr) == EINVAL);
    const timespec a_while{0, 1};
    CHECK(posix::clock_nanosleep(12345, 0, &a_while, nullptr) == EINVAL);
    CHECK(posix::clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &a_while, nullptr) == ENOTSUP);

    zsync::fiber sleeper([] {
      const timespec hour{3600, 0};
      timespec left{};
      const int error = posix::clock_nanosleep(CLOCK_MONOTONIC, 0, &hour, &left);
      return error == ECANCELED && left.tv_sec > 3000 && left.tv_sec <= 3600;
    });
    zsync::this_fiber::sleep_for(1ms);
    sleeper.cancel();
    CHECK(sleeper.join());
  });
}

TEST_CASE("posix::getnameinfo names an address, in fibers and outside", "[posix]") {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(8080);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto names = [&] {
    std::array<char, 64> host{};
    std::array<char, 16> service{};
    CHECK(posix::getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host.data(),
                             host.size(), service.data(), service.size(),
                             NI_NUMERICHOST | NI_NUMERICSERV) == 0);
    CHECK(std::string(host.data()) == "127.0.0.1");
    CHECK(std::string(service.data()) == "8080");
    CHECK(posix::getnameinfo(reinterpret_cast<const sockaddr*>(&address), 1, host.data(), host.size(),
                             nullptr, 0, NI_NUMERICHOST) == EAI_FAMILY);
  };
  names();
  test::in_fiber(names);
}

TEST_CASE("outside of fibers these posix calls are libc's", "[posix]") {
  const sockets s(SOCK_DGRAM);
  messages out({"one", "two"});
  CHECK(posix::sendmmsg(s.ends[1], out.data(), out.size(), 0) == 2);
  messages in(2, 8);
  CHECK(posix::recvmmsg(s.ends[0], in.data(), in.size(), 0, nullptr) == 2);
  CHECK(in.text(1) == "two");
  pollfd p{s.ends[1], POLLOUT, 0};
  const timespec minute{60, 0};
  CHECK(posix::ppoll(&p, 1, &minute, nullptr) == 1);
  const timespec a_while{0, 1000};
  CHECK(posix::pselect(0, nullptr, nullptr, nullptr, &a_while, nullptr) == 0);
  CHECK(posix::clock_nanosleep(CLOCK_MONOTONIC, 0, &a_while, nullptr) == 0);
}
