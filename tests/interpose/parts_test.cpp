// What comes behind a part that a call has moved: the rest, or the error of which the next call is told.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"

#include <zsync/io/unique_fd.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::episode;
using zsync::test::pair;
using zsync::test::same_as_libc;
using zsync::test::transcript;

namespace {

using number = zsync::unique_fd;

number bound(int type, sockaddr_in& at) {
  number fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  return fd;
}

void join_to(int fd, const sockaddr_in& at) {
  REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
}

struct ends {
  number ours, theirs;
};

ends connected(bool internet) {
  ends both;
  if (!internet) {
    pair local;
    both.ours.reset(std::exchange(local.ends[0], -1));
    both.theirs.reset(std::exchange(local.ends[1], -1));
    return both;
  }
  sockaddr_in at{};
  const number listener = bound(SOCK_STREAM, at);
  REQUIRE(::listen(listener.get(), 1) == 0);
  both.ours.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  join_to(both.ours.get(), at);
  both.theirs.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(both.theirs.get() >= 0);
  const linger at_once{1, 0};
  ::setsockopt(both.theirs.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  return both;
}

// By a plain thread, for the worker may be in a call.
template <class F>
void wait_until(F done) {
  while (!done()) std::this_thread::sleep_for(1ms);
}

}  // namespace

TEST_CASE("a reset in the midst of a write leaves the part to that call, and its error to the next",
          "[interpose]") {
  static constexpr std::size_t much = 32 << 20;
  using writing = std::function<ssize_t(int, char*)>;
  const std::pair<const char*, writing> calls[] = {
      {"write", [](int fd, char* b) { return ::write(fd, b, much); }},
      {"send", [](int fd, char* b) { return ::send(fd, b, much, MSG_NOSIGNAL); }},
      {"writev",
       [](int fd, char* b) {
         const iovec v[2] = {{b, much / 2}, {b + much / 2, much / 2}};
         return ::writev(fd, v, 2);
       }},
  };
  std::vector<episode> all;
  for (const bool internet : {true, false}) {
    for (const auto& [name, call] : calls) {
      all.push_back({name + std::string(internet ? ", TCP" : ", unix"), [internet, call](transcript& t) {
                       ends both = connected(internet);
                       std::vector<char> data(much);
                       std::thread peer([&] {
                         pollfd come{both.theirs.get(), POLLIN, 0};
                         ::poll(&come, 1, -1);
                         both.theirs.reset();
                       });
                       const ssize_t n = call(both.ours.get(), data.data());
                       t(n > 0 && n < static_cast<ssize_t>(much) ? "a part" : "another result");
                       peer.join();
                       for (int i = 0; i < 3; ++i) t(::send(both.ours.get(), "x", 1, MSG_NOSIGNAL));
                     }});
    }
  }
  // On a thread, too, SIGPIPE is none of this test's.
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  same_as_libc(all);
  std::signal(SIGPIPE, before);
}

TEST_CASE("an error behind the messages that have come is told to the next call", "[interpose]") {
  std::vector<episode> all;
  for (const bool between : {false, true}) {
    all.push_back({between ? "while it waits" : "before it waits", [between](transcript& t) {
                     sockaddr_in here{}, there{};
                     const number ours = bound(SOCK_DGRAM, here);
                     number theirs = bound(SOCK_DGRAM, there);
                     join_to(ours.get(), there);
                     join_to(theirs.get(), here);
                     const auto queued = [&] {
                       int bytes = 0;
                       ::ioctl(ours.get(), FIONREAD, &bytes);
                       return bytes;
                     };
                     REQUIRE(::send(theirs.get(), "ab", 2, 0) == 2);
                     wait_until([&] { return queued() == 2; });
                     std::thread other([&] {
                       if (between) wait_until([&] { return queued() == 0; });
                       theirs.reset();
                       ::send(ours.get(), "x", 1, 0);  // to nobody, which comes back as an error
                     });
                     if (!between) other.join();
                     char data[2][8] = {};
                     iovec v[2] = {{data[0], 8}, {data[1], 8}};
                     mmsghdr m[2] = {};
                     for (int i = 0; i < 2; ++i) {
                       m[i].msg_hdr.msg_iov = &v[i];
                       m[i].msg_hdr.msg_iovlen = 1;
                     }
                     t(::recvmmsg(ours.get(), m, 2, between ? 0 : MSG_DONTWAIT, nullptr));
                     t(::recvmmsg(ours.get(), m, 2, MSG_DONTWAIT, nullptr));
                     t(::recvmmsg(ours.get(), m, 2, MSG_DONTWAIT, nullptr));
                     if (between) other.join();
                   }});
  }
  same_as_libc(all);
}
