// What is seldom done with descriptors, and holds all the same: time-outs, parts, odd sets, changes of mode.
#include "interpose/one_worker.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::on_one_worker;
using zsync::test::pair;

TEST_CASE("a socket's own time-outs end whatever call waits for it", "[interpose]") {
  on_one_worker([] {
    const pair s;
    const timeval limit{0, 20'000};
    REQUIRE(::setsockopt(s.ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    REQUIRE(::setsockopt(s.ends[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
    const int fd = s.ends[0];
    std::vector<char> much(1 << 16);
    iovec parts[2] = {{much.data(), 1}, {much.data() + 1, much.size() - 1}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    mmsghdr several{};
    several.msg_hdr = message;
    const auto times_out = [](const char* name, const std::function<long()>& call) {
      INFO(name);
      const auto begin = std::chrono::steady_clock::now();
      const long result = call();
      const int error = errno;
      CHECK(result == -1);
      CHECK(error == EAGAIN);
      CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
    };
    times_out("read", [&] { return ::read(fd, much.data(), 1); });
    times_out("readv", [&] { return ::readv(fd, parts, 2); });
    times_out("recv", [&] { return ::recv(fd, much.data(), 1, 0); });
    times_out("recv, peeking", [&] { return ::recv(fd, much.data(), 1, MSG_PEEK); });
    times_out("recvfrom", [&] { return ::recvfrom(fd, much.data(), 1, 0, nullptr, nullptr); });
    times_out("recvmsg", [&] { return ::recvmsg(fd, &message, 0); });
    times_out("recvmmsg", [&] { return ::recvmmsg(fd, &several, 1, 0, nullptr); });
    while (::send(fd, much.data(), much.size(), MSG_DONTWAIT) > 0) continue;
    times_out("write", [&] { return ::write(fd, much.data(), much.size()); });
    times_out("writev", [&] { return ::writev(fd, parts, 2); });
    times_out("send", [&] { return ::send(fd, much.data(), much.size(), 0); });
    times_out("sendto", [&] { return ::sendto(fd, much.data(), much.size(), 0, nullptr, 0); });
    times_out("sendmsg", [&] { return ::sendmsg(fd, &message, 0); });
    times_out("sendmmsg", [&] { return ::sendmmsg(fd, &several, 1, 0); });
  });
}

TEST_CASE("what is written in parts arrives whole and in order, from pipes as from sockets", "[interpose]") {
  on_one_worker([] {
    for (const bool is_pipe : {false, true}) {
      INFO(is_pipe);
      int ends[2];
      REQUIRE((is_pipe ? ::pipe2(ends, O_CLOEXEC) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) == 0);
      std::string much(3 << 20, 'x');
      for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>('a' + i % 23);
      std::string came;
      zsync::fiber reader([&] {
        std::vector<char> buffer(1 << 16);
        iovec halves[2] = {{buffer.data(), 1000}, {buffer.data() + 1000, buffer.size() - 1000}};
        for (;;) {
          const ssize_t n = ::readv(ends[0], halves, 2);
          if (n <= 0) break;
          came.append(buffer.data(), static_cast<std::size_t>(n));
        }
      });
      const std::size_t third = much.size() / 3;
      iovec parts[4] = {{much.data(), third}, {nullptr, 0}, {much.data() + third, 1}, {}};
      parts[3] = {much.data() + third + 1, third - 1};
      CHECK(::writev(ends[1], parts, 4) == static_cast<ssize_t>(2 * third));
      CHECK(::write(ends[1], much.data() + 2 * third, third) == static_cast<ssize_t>(third));
      CHECK(::write(ends[1], "", 0) == 0);
      char c = 0;
      CHECK(::read(ends[0], &c, 0) == 0);
      ::close(ends[1]);
      reader.join();
      CHECK(came == much);
      ::close(ends[0]);
    }
  });
}

TEST_CASE("waiting for one descriptor takes no other", "[interpose]") {
  on_one_worker([] {
    const pair s;
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int lowest = ::dup(s.ends[0]);
    ::close(lowest);
    zsync::fiber sender([&] {
      zsync::this_fiber::sleep_for(2ms);
      return ::send(s.ends[1], "x", 1, 0);
    });
    zsync::this_fiber::yield();  // whatever the worker needs for a sleep it has now
    const rlimit none{static_cast<rlim_t>(lowest), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    pollfd p{s.ends[0], POLLIN, 0};
    const int polled = ::poll(&p, 1, 60'000);
    const int error = errno;
    ::setrlimit(RLIMIT_NOFILE, &before);
    INFO(error);
    CHECK(polled == 1);
    CHECK(p.revents == POLLIN);
    sender.join();
  });
}

TEST_CASE("who polls a number that is closed is told so", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pollfd p{ends[0], POLLIN, 0};
    zsync::fiber poller([&] { return ::poll(&p, 1, 60'000); });
    zsync::this_fiber::sleep_for(2ms);
    CHECK(::close(ends[0]) == 0);
    CHECK(poller.join() == 1);
    CHECK(p.revents == POLLNVAL);
    ::close(ends[1]);
  });
}

TEST_CASE("sets of descriptors may be odd: negative, none at all, none for any event", "[interpose]") {
  on_one_worker([] {
    const pair s;
    pollfd set[3] = {{-1, POLLIN, 77}, {s.ends[0], 0, 77}, {s.ends[0], POLLOUT, 77}};
    CHECK(::poll(set, 1, 5) == 0);
    CHECK(set[0].revents == 0);
    CHECK(::poll(set + 1, 1, 5) == 0);
    CHECK(::poll(set, 3, -1) == 1);
    CHECK(set[2].revents == POLLOUT);
    CHECK(::poll(set, 0, 5) == 0);
    pollfd bad{1'000'000, POLLIN, 0};
    CHECK(::poll(&bad, 1, -1) == 1);
    CHECK(bad.revents == POLLNVAL);
    timeval negative{-1, 0};
    CHECK(::select(0, nullptr, nullptr, nullptr, &negative) == -1);
    CHECK(errno == EINVAL);
  });
}

TEST_CASE("select() goes beyond the size of fd_set, for who has room", "[interpose]") {
  on_one_worker([] {
    const pair s;
    constexpr int high = FD_SETSIZE + 100;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur <= high) return;
    REQUIRE(::fcntl(s.ends[0], F_DUPFD_CLOEXEC, high) >= high);
    struct {
      fd_set sets[3];
    } in{}, out{};
    const auto bits = [](auto& of) { return reinterpret_cast<unsigned long*>(&of); };
    constexpr auto word = high / (8 * sizeof(long));
    constexpr auto bit = 1ul << (high % (8 * sizeof(long)));
    bits(in)[word] = bits(out)[word] = bit;
    timeval soon{0, 5'000};
    CHECK(::select(high + 1, &in.sets[0], nullptr, nullptr, &soon) == 0);
    CHECK(bits(in)[word] == 0);
    bits(in)[word] = bit;
    CHECK(::select(1'000'000'000, nullptr, &out.sets[0], nullptr, nullptr) == 1);
    CHECK(bits(out)[word] == bit);
    zsync::fiber sender([&] { return ::send(s.ends[1], "x", 1, 0); });
    CHECK(::select(high + 1, &in.sets[0], nullptr, nullptr, nullptr) == 1);
    CHECK(bits(in)[word] == bit);
    sender.join();
    ::close(high);
  });
}

TEST_CASE("who makes a descriptor non-blocking leaves alone those who wait for it", "[interpose]") {
  on_one_worker([] {
    for (const bool by_ioctl : {false, true}) {
      const pair s;
      char c = 0;
      zsync::fiber waiting([&] { return ::read(s.ends[0], &c, 1); });
      zsync::this_fiber::sleep_for(2ms);
      int on = 1;
      CHECK((by_ioctl ? ::ioctl(s.ends[0], FIONBIO, &on) : ::fcntl(s.ends[0], F_SETFL, O_NONBLOCK)) == 0);
      char other = 0;
      CHECK(::read(s.ends[0], &other, 1) == -1);
      CHECK(errno == EAGAIN);
      zsync::this_fiber::sleep_for(2ms);
      CHECK(::send(s.ends[1], "x", 1, 0) == 1);
      CHECK(waiting.join() == 1);
    }
  });
}
