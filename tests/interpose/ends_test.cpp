// What ends a wait on a fiber as it does in libc: terminals' modes, shutdown(), FIFOs without writers,
// sockets' time-outs, and sets in which something can never be ready.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace zsync::test;

namespace {

void set_timeout(int fd, int option) {
  const timeval t{0, 3000};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, option, &t, sizeof t) == 0);
}

// Receives nothing because a thread shuts the socket down, meanwhile or before.
void shut_down(transcript& t, int fd, bool before) {
  std::thread other([=] {
    if (!before) std::this_thread::sleep_for(5ms);
    ::shutdown(fd, SHUT_RDWR);
  });
  if (before) other.join();
  char c = 0;
  t(::recv(fd, &c, 1, 0));
  iovec v{&c, 1};
  msghdr m{};
  m.msg_iov = &v;
  m.msg_iovlen = 1;
  t(::recvmsg(fd, &m, 0));
  t(::recv(fd, &c, 1, MSG_DONTWAIT));
  t(::read(fd, &c, 1));
  if (!before) other.join();
}

}  // namespace

TEST_CASE("a terminal that waits for no first character ends a read as in libc", "[interpose]") {
  std::vector<episode> all;
  for (const int tenths : {0, 1}) {
    all.push_back({std::to_string(tenths), [tenths](transcript& t) {
                     int master = -1;
                     int slave = -1;
                     REQUIRE(::openpty(&master, &slave, nullptr, nullptr, nullptr) == 0);
                     termios mode{};
                     ::tcgetattr(slave, &mode);
                     ::cfmakeraw(&mode);
                     mode.c_cc[VMIN] = 0;
                     mode.c_cc[VTIME] = static_cast<cc_t>(tenths);
                     ::tcsetattr(slave, TCSANOW, &mode);
                     char c = 0;
                     t(::read(slave, &c, 1));
                     ::fcntl(slave, F_SETFL, O_NONBLOCK);
                     t(::read(slave, &c, 1));
                     ::fcntl(slave, F_SETFL, 0);
                     t(::write(master, "x", 1));
                     pollfd p{slave, POLLIN, 0};
                     t(::poll(&p, 1, 5000));
                     t(::read(slave, &c, 1));
                     for (const int fd : {master, slave}) ::close(fd);
                   }});
  }
  same_as_libc(all);
}

TEST_CASE("a socket that is shut down receives nothing more, whatever its kind", "[interpose]") {
  std::vector<episode> all;
  for (const bool before : {false, true}) {
    for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
      all.push_back({"unix " + std::to_string(type), [=](transcript& t) {
                       const pair s(type);
                       shut_down(t, s.ends[0], before);
                     }});
    }
    all.push_back({"udp", [=](transcript& t) {
                     const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                     sockaddr_in any{};
                     any.sin_family = AF_INET;
                     any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                     REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
                     shut_down(t, fd, before);
                     ::close(fd);
                   }});
  }
  all.push_back({"what came before", [](transcript& t) {
                   const pair s(SOCK_DGRAM);
                   ::send(s.ends[1], "x", 1, 0);
                   ::shutdown(s.ends[0], SHUT_RD);
                   char c = 0;
                   t(::recv(s.ends[0], &c, 1, 0));
                   t(::recv(s.ends[0], &c, 1, 0));
                 }});
  same_as_libc(all);
}

TEST_CASE("a FIFO without a writer is at its end, and one with a writer is waited for", "[interpose]") {
  same_as_libc({{"fifo", [](transcript& t) {
                   temporary_directory folder;
                   const std::string path = folder.path() / "fifo";
                   REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
                   const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
                   ::fcntl(reader, F_SETFL, 0);
                   char c = 0;
                   t(::read(reader, &c, 1));
                   const int writer = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
                   std::thread later([&] {
                     std::this_thread::sleep_for(5ms);
                     t(::write(writer, "x", 1));
                   });
                   t(::read(reader, &c, 1));
                   later.join();
                   t(c == 'x');
                   ::close(writer);
                   t(::read(reader, &c, 1));
                   ::close(reader);
                 }}});
}

TEST_CASE("splice() ends by the time-out of its socket", "[interpose]") {
  same_as_libc({{"receiving",
                 [](transcript& t) {
                   const pair s;
                   int ends[2];
                   REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
                   set_timeout(s.ends[0], SO_RCVTIMEO);
                   t(::splice(s.ends[0], nullptr, ends[1], nullptr, 10, 0));
                   for (const int fd : ends) ::close(fd);
                 }},
                {"sending", [](transcript& t) {
                   const pair s;
                   int ends[2];
                   REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
                   const std::vector<char> much(4096);
                   while (::send(s.ends[0], much.data(), much.size(), MSG_DONTWAIT) > 0) continue;
                   while (::send(s.ends[0], much.data(), 1, MSG_DONTWAIT) > 0) continue;
                   t(::write(ends[1], much.data(), 10));
                   set_timeout(s.ends[0], SO_SNDTIMEO);
                   t(::splice(ends[0], nullptr, s.ends[0], nullptr, 10, 0));
                   for (const int fd : ends) ::close(fd);
                 }}});
}

TEST_CASE("in a set may be files, of which nothing will ever be said", "[interpose]") {
  same_as_libc({{"files", [](transcript& t) {
                   int ends[2];
                   REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
                   const int file = ::open("/etc/passwd", O_RDONLY | O_CLOEXEC);
                   const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
                   for (const int fd : {file, null}) {
                     pollfd nothing{fd, 0, 0};
                     t(::poll(&nothing, 1, 5));
                     pollfd urgent[2] = {{fd, POLLPRI, 0}, {ends[0], POLLIN, 0}};
                     t(::poll(urgent, 1, 5));
                     t(::poll(urgent, 2, 5));
                     fd_set in;
                     fd_set except;
                     FD_ZERO(&in);
                     FD_ZERO(&except);
                     FD_SET(ends[0], &in);
                     FD_SET(fd, &except);
                     timeval short_time{0, 5000};
                     t(::select(std::max(fd, ends[0]) + 1, &in, nullptr, &except, &short_time));
                   }
                   for (const int fd : {file, null, ends[0], ends[1]}) ::close(fd);
                 }}});
}

namespace {

// Not to be found out to be the same twice.
[[gnu::noinline]] int error_here() {
  __asm__ volatile("" : : : "memory");
  return errno;
}

[[gnu::noinline]] void set_error_here(int error) {
  __asm__ volatile("" : : : "memory");
  errno = error;
}

}  // namespace

TEST_CASE("errno is the fiber's, on whichever thread it goes on", "[interpose]") {
  zsync::runtime_options options;
  options.workers = 4;
  options.policy = zsync::scheduling::work_stealing;
  options.force_migration = true;
  std::atomic<int> wrong{0};
  zsync::run(
      [&] {
        std::vector<zsync::fiber<>> all;
        for (int i = 0; i < 20; ++i) {
          all.emplace_back([&] {
            const pair s;
            char c = 0;
            const iovec v{&c, 1};
            for (int k = 0; k < 20; ++k) {
              const ssize_t n = ::preadv(s.ends[0], &v, 1, 0);
              wrong += n != -1 || error_here() != ESPIPE;
              zsync::fiber sender([&] {
                ::usleep(200);
                ::send(s.ends[1], "x", 1, 0);
              });
              set_error_here(77);
              const ssize_t m = ::read(s.ends[0], &c, 1);
              wrong += m != 1 || error_here() != 77;
              sender.join();
            }
          });
        }
        for (auto& one : all) one.join();
      },
      options);
  CHECK(wrong == 0);
}

TEST_CASE("who sends to the name of a unix socket waits for room with that", "[interpose]") {
  same_as_libc({{"datagrams",
                 [](transcript& t) {
                   sockaddr_un name{};
                   name.sun_family = AF_UNIX;
                   const int receiver = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                   const int sender = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                   socklen_t size = sizeof(sa_family_t);  // for a name that the kernel finds
                   auto* const to = reinterpret_cast<sockaddr*>(&name);
                   REQUIRE(::bind(receiver, to, size) == 0);
                   size = sizeof name;
                   REQUIRE(::getsockname(receiver, to, &size) == 0);
                   while (::sendto(sender, "x", 1, MSG_DONTWAIT, to, size) == 1) continue;
                   t(::sendto(sender, "x", 1, MSG_DONTWAIT, to, size));
                   set_timeout(sender, SO_SNDTIMEO);
                   t(::sendto(sender, "x", 1, 0, to, size));
                   const timeval for_ever{};
                   ::setsockopt(sender, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof for_ever);
                   std::thread taker([&] {
                     std::this_thread::sleep_for(5ms);
                     char c = 0;
                     ::recv(receiver, &c, 1, 0);
                   });
                   t(::sendto(sender, "x", 1, 0, to, size));
                   taker.join();
                   for (const int fd : {receiver, sender}) ::close(fd);
                 }},
                {"none at all", [](transcript& t) {
                   const pair s(SOCK_DGRAM);
                   mmsghdr none{};
                   for (const int fd : {s.ends[0], 0, 1'000'000, -1}) {
                     t(::recvmmsg(fd, &none, 0, 0, nullptr));
                     t(::sendmmsg(fd, &none, 0, 0));
                   }
                 }}});
}
