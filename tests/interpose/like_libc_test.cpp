// Calls that libc refuses, or answers at once, or in an order of its own: the same sequences on a plain
// thread, where they are libc's, and on a fiber.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::episode;
using zsync::test::pair;
using zsync::test::same_as_libc;
using zsync::test::transcript;

namespace {

using number = zsync::unique_fd;

sockaddr_in loopback() {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

const sockaddr* generic(const sockaddr_in& a) { return reinterpret_cast<const sockaddr*>(&a); }

number listener(sockaddr_in& at, int backlog = 8) {
  number fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  at = loopback();
  socklen_t size = sizeof at;
  REQUIRE(::bind(fd.get(), generic(at), size) == 0);
  REQUIRE(::listen(fd.get(), backlog) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
  return fd;
}

struct tcp_pair {
  tcp_pair() {
    sockaddr_in at{};
    const number l = listener(at);
    ours.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(ours.get(), generic(at), sizeof at) == 0);
    theirs.reset(::accept4(l.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(theirs.get() >= 0);
  }
  void reset() {
    const linger at_once{1, 0};
    ::setsockopt(theirs.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    theirs.reset();
  }
  number ours, theirs;
};

struct pipe_ends {
  pipe_ends() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reader.reset(ends[0]);
    writer.reset(ends[1]);
  }
  number reader, writer;
};

number some_file(const std::string& text) {
  number fd(::memfd_create("some", MFD_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return fd;
}

void set_time(int fd, int option, std::chrono::milliseconds t) {
  const timeval limit{0, static_cast<suseconds_t>(t.count() * 1000)};
  REQUIRE(::setsockopt(fd, SOL_SOCKET, option, &limit, sizeof limit) == 0);
}

// A thread that does something in a while.
template <class F>
std::thread soon(F f) {
  return std::thread([f] {
    std::this_thread::sleep_for(20ms);
    f();
  });
}

}  // namespace

TEST_CASE("accept says at once what libc says of what is no listener", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"accept", [](transcript& t) {
                   const number udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                   const number unbound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   const number counter(::eventfd(0, EFD_CLOEXEC));
                   const pipe_ends p;
                   const tcp_pair tcp;
                   const pair local;
                   for (const int fd : {udp.get(), unbound.get(), counter.get(), p.reader.get(),
                                        tcp.ours.get(), local.ends[0], -1, 1'000'000}) {
                     t(::accept(fd, nullptr, nullptr));
                     t(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
                   }
                 }});
  same_as_libc(all);
}

TEST_CASE("what never waits in libc never waits on a fiber", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"flags", [](transcript& t) {
                   const number udp(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
                   const tcp_pair tcp;
                   std::array<char, 8> b{};
                   iovec v{b.data(), b.size()};
                   for (const int fd : {udp.get(), tcp.ours.get()}) {
                     msghdr m{};
                     m.msg_iov = &v;
                     m.msg_iovlen = 1;
                     t(::recv(fd, b.data(), b.size(), MSG_ERRQUEUE));
                     t(::recvmsg(fd, &m, MSG_ERRQUEUE));
                   }
                   t(::recv(tcp.ours.get(), b.data(), b.size(), MSG_OOB));
                 }});
  all.push_back({"counters, sets and what cannot be read", [](transcript& t) {
                   const number counter(::eventfd(0, EFD_CLOEXEC));
                   const number timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
                   const number set(::epoll_create1(EPOLL_CLOEXEC));
                   const number folder(::open("/", O_RDONLY | O_CLOEXEC));
                   const number null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
                   std::array<char, 8> b{};
                   for (const int fd : {counter.get(), timer.get()}) {
                     t(::read(fd, b.data(), 4));
                     t(::read(fd, b.data(), 0));
                     t(::write(fd, b.data(), 4));
                     t(::write(fd, b.data(), 0));
                   }
                   std::uint64_t too_much = ~std::uint64_t{0};
                   t(::write(counter.get(), &too_much, sizeof too_much));
                   for (const int fd : {set.get(), folder.get(), null.get(), -1, 1'000'000}) {
                     t(::read(fd, b.data(), b.size()));
                     t(::write(fd, b.data(), b.size()));
                   }
                 }});
  all.push_back({"numbers of parts", [](transcript& t) {
                   std::vector<iovec> many(IOV_MAX + 1);
                   char c = 0;
                   for (iovec& v : many) v = {&c, 1};
                   volatile int fewer_than_none = -1;  // which compilers refuse
                   const pair s;
                   const pipe_ends p;
                   for (const int fd : {s.ends[0], p.reader.get()}) {
                     t(::readv(fd, many.data(), IOV_MAX + 1));
                     t(::readv(fd, many.data(), fewer_than_none));
                     t(::readv(fd, many.data(), 0));
                   }
                   for (const int fd : {s.ends[0], p.writer.get()}) {
                     t(::writev(fd, many.data(), IOV_MAX + 1));
                     t(::writev(fd, many.data(), fewer_than_none));
                     t(::writev(fd, many.data(), 0));
                   }
                   msghdr m{};
                   m.msg_iov = many.data();
                   m.msg_iovlen = many.size();
                   t(::recvmsg(s.ends[0], &m, 0));
                   t(::sendmsg(s.ends[0], &m, 0));
                 }});
  same_as_libc(all);
}

TEST_CASE("reading and writing nothing is what it is in libc, which differs from thing to thing",
          "[interpose]") {
  std::vector<episode> all;
  all.push_back({"streams", [](transcript& t) {
                   const tcp_pair tcp;
                   set_time(tcp.ours.get(), SO_RCVTIMEO, 30ms);
                   char c = 0;
                   t(::read(tcp.ours.get(), &c, 0));
                   t(::recv(tcp.ours.get(), &c, 0, 0));
                   t(::write(tcp.ours.get(), &c, 0));
                   t(::send(tcp.ours.get(), &c, 0, 0));
                   const pipe_ends p;
                   t(::read(p.reader.get(), &c, 0));
                   t(::write(p.writer.get(), &c, 0));
                 }});
  all.push_back({"datagrams", [](transcript& t) {
                   const pair s(SOCK_DGRAM);
                   set_time(s.ends[0], SO_RCVTIMEO, 30ms);
                   std::array<char, 4> b{};
                   t(::send(s.ends[1], "12", 2, 0));
                   t(::read(s.ends[0], b.data(), 0));
                   t(::recv(s.ends[0], b.data(), 0, 0));
                   t(::recv(s.ends[0], b.data(), b.size(), 0));
                   t(::write(s.ends[1], "", 0));
                   t(::recv(s.ends[0], b.data(), b.size(), 0));
                   const iovec none{nullptr, 0};
                   t(::writev(s.ends[1], &none, 1));
                   t(::recv(s.ends[0], b.data(), b.size(), 0));
                 }});
  all.push_back({"a peer that is gone", [](transcript& t) {
                   pair s;
                   ::close(s.ends[1]);
                   s.ends[1] = -1;
                   t(::send(s.ends[0], "", 0, MSG_NOSIGNAL));
                   t(::send(s.ends[0], "a", 1, MSG_NOSIGNAL));
                 }});
  same_as_libc(all);
}

TEST_CASE("a part that has come comes first, and the error behind it with the next call", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"a reset", [](transcript& t) {
                   tcp_pair tcp;
                   std::array<char, 10> b{};
                   t(::send(tcp.theirs.get(), "12345", 5, 0));
                   std::thread peer = soon([&] { tcp.reset(); });
                   t(::recv(tcp.ours.get(), b.data(), b.size(), MSG_WAITALL));
                   peer.join();
                   t(::recv(tcp.ours.get(), b.data(), b.size(), 0));
                   t(::recv(tcp.ours.get(), b.data(), b.size(), 0));
                 }});
  all.push_back({"a reset, several buffers", [](transcript& t) {
                   tcp_pair tcp;
                   std::array<char, 10> b{};
                   std::array<iovec, 2> v{iovec{b.data(), 3}, iovec{b.data() + 3, 7}};
                   msghdr m{};
                   m.msg_iov = v.data();
                   m.msg_iovlen = v.size();
                   t(::send(tcp.theirs.get(), "12345", 5, 0));
                   std::thread peer = soon([&] { tcp.reset(); });
                   t(::recvmsg(tcp.ours.get(), &m, MSG_WAITALL));
                   peer.join();
                   t(::recv(tcp.ours.get(), b.data(), b.size(), 0));
                   t(std::string(b.data(), 5));
                 }});
  all.push_back({"the end", [](transcript& t) {
                   tcp_pair tcp;
                   std::array<char, 10> b{};
                   t(::send(tcp.theirs.get(), "12345", 5, 0));
                   std::thread peer = soon([&] { tcp.theirs.reset(); });
                   t(::recv(tcp.ours.get(), b.data(), b.size(), MSG_WAITALL));
                   peer.join();
                   t(::recv(tcp.ours.get(), b.data(), b.size(), MSG_WAITALL));
                 }});
  same_as_libc(all);
}

TEST_CASE("MSG_WAITALL has SO_RCVTIMEO once, for all of it", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"drops", [](transcript& t) {
                   const tcp_pair tcp;
                   set_time(tcp.ours.get(), SO_RCVTIMEO, 100ms);
                   std::atomic<bool> ended{false};
                   std::thread dripping([&] {
                     while (!ended) {
                       ::send(tcp.theirs.get(), "x", 1, 0);
                       std::this_thread::sleep_for(10ms);
                     }
                   });
                   std::array<char, 1000> b{};
                   const auto begin = std::chrono::steady_clock::now();
                   const ssize_t n = ::recv(tcp.ours.get(), b.data(), b.size(), MSG_WAITALL);
                   const auto took = std::chrono::steady_clock::now() - begin;
                   ended = true;
                   dripping.join();
                   t(n > 0 && n < 1000 ? "a part" : "another result");
                   t(took < 5s ? "in time" : "too late");
                 }});
  same_as_libc(all);
}

TEST_CASE("peeking for all, and low-water marks, wait for as much as in libc", "[interpose]") {
  std::vector<episode> all;
  const auto in_two_parts = [](transcript& t, int one, int other, std::size_t size, int flags) {
    std::array<char, 20> b{};
    t(::send(other, "12345", 5, 0));
    std::thread peer = soon([other] { ::send(other, "67890abcdefghij", 15, 0); });
    t(::recv(one, b.data(), size, flags));
    peer.join();
    t(::recv(one, b.data(), b.size(), MSG_DONTWAIT));
  };
  all.push_back({"peeking", [&](transcript& t) {
                   const tcp_pair tcp;
                   in_two_parts(t, tcp.ours.get(), tcp.theirs.get(), 10, MSG_PEEK | MSG_WAITALL);
                   const pair s;
                   std::array<char, 10> b{};
                   t(::send(s.ends[1], "12345", 5, 0));
                   t(::recv(s.ends[0], b.data(), b.size(), MSG_PEEK | MSG_WAITALL));
                   const tcp_pair ended;
                   t(::send(ended.theirs.get(), "12345", 5, 0));
                   ::shutdown(ended.theirs.get(), SHUT_WR);
                   t(::recv(ended.ours.get(), b.data(), b.size(), MSG_PEEK | MSG_WAITALL));
                 }});
  all.push_back({"marks", [&](transcript& t) {
                   const int mark = 10;
                   const tcp_pair tcp;
                   t(::setsockopt(tcp.ours.get(), SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark));
                   in_two_parts(t, tcp.ours.get(), tcp.theirs.get(), 20, 0);
                   const pair s;
                   t(::setsockopt(s.ends[0], SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark));
                   in_two_parts(t, s.ends[0], s.ends[1], 20, 0);
                   std::array<char, 4> b{};
                   t(::send(s.ends[1], "1234", 4, 0));
                   t(::recv(s.ends[0], b.data(), b.size(), 0));  // no more than there is room for
                 }});
  same_as_libc(all);
}

TEST_CASE("select() takes for ready what it does in libc, and nothing else", "[interpose]") {
  std::vector<episode> all;
  const auto look = [](transcript& t, int fd, int set, int also_in = -1) {
    fd_set sets[3];
    for (fd_set& each : sets) FD_ZERO(&each);
    FD_SET(fd, &sets[set]);
    if (also_in >= 0) FD_SET(also_in, &sets[0]);
    timeval limit{0, 60'000};
    const auto begin = std::chrono::steady_clock::now();
    const int n = ::select(std::max(fd, also_in) + 1, &sets[0], &sets[1], &sets[2], &limit);
    const bool waited = std::chrono::steady_clock::now() - begin >= 60ms;
    t(n);
    t(n > 0 || waited ? "in its time" : "early");
    t(FD_ISSET(fd, &sets[set]) ? "in the set" : "not in the set");
    if (also_in >= 0) t(FD_ISSET(also_in, &sets[0]) ? "and the other" : "and not the other");
  };
  for (int set = 0; set < 3; ++set) {
    all.push_back({"a peer that is gone, set " + std::to_string(set), [look, set](transcript& t) {
                     pair s;
                     ::close(s.ends[1]);
                     s.ends[1] = -1;
                     look(t, s.ends[0], set);
                   }});
    all.push_back({"a pipe without a writer, set " + std::to_string(set), [look, set](transcript& t) {
                     pipe_ends p;
                     p.writer.reset();
                     look(t, p.reader.get(), set);
                   }});
    all.push_back({"a pipe without a reader, set " + std::to_string(set), [look, set](transcript& t) {
                     pipe_ends p;
                     p.reader.reset();
                     look(t, p.writer.get(), set);
                   }});
    all.push_back(
        {"beside another that becomes ready, set " + std::to_string(set), [look, set](transcript& t) {
           pair s;
           const pair other;
           ::close(s.ends[1]);
           s.ends[1] = -1;
           t(::send(other.ends[1], "x", 1, 0));
           look(t, s.ends[0], set, other.ends[0]);
         }});
  }
  same_as_libc(all);
}

TEST_CASE("select() looks no further than descriptors can stand, as libc does", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"behind the table", [](transcript& t) {
                   const pair s;
                   t(::send(s.ends[1], "x", 1, 0));
                   std::ifstream status("/proc/self/status");
                   int size = 0;
                   for (std::string line; size == 0 && std::getline(status, line);) {
                     if (line.rfind("FDSize:", 0) == 0) size = std::stoi(line.substr(7));
                   }
                   REQUIRE(size > s.ends[0]);
                   for (const int bad : {size - 1, size, size + 1, FD_SETSIZE - 1}) {
                     if (bad >= FD_SETSIZE || ::fcntl(bad, F_GETFD) != -1) continue;
                     for (const int count : {s.ends[0] + 1, bad + 1, FD_SETSIZE}) {
                       fd_set in;
                       FD_ZERO(&in);
                       FD_SET(s.ends[0], &in);
                       FD_SET(bad, &in);
                       timeval time{10, 0};
                       t(::select(count, &in, nullptr, nullptr, &time));
                       t(FD_ISSET(s.ends[0], &in) ? "ready" : "not ready");
                       t(FD_ISSET(bad, &in) ? "left" : "taken out");
                     }
                     fd_set none;
                     FD_ZERO(&none);
                     FD_SET(bad, &none);
                     timeval moment{0, 1000};
                     t(::select(FD_SETSIZE, nullptr, &none, nullptr, &moment));
                   }
                 }});
  same_as_libc(all);
}

TEST_CASE("connecting again is refused, joined or begun anew as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"connected, or refused", [](transcript& t) {
                   sockaddr_in at{};
                   number l = listener(at);
                   const number fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   t(::connect(fd.get(), generic(at), sizeof at));
                   t(::connect(fd.get(), generic(at), sizeof at));
                   const number other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   l.reset();
                   int error = -1;
                   socklen_t size = sizeof error;
                   for (int i = 0; i < 3; ++i) t(::connect(other.get(), generic(at), sizeof at));
                   t(::getsockopt(other.get(), SOL_SOCKET, SO_ERROR, &error, &size));
                   t(error);
                   const number counter(::eventfd(0, EFD_CLOEXEC));
                   t(::connect(counter.get(), generic(at), sizeof at));
                   t(::connect(other.get(), generic(at), 2));
                 }});
  all.push_back({"while it lasts", [](transcript& t) {
                   sockaddr_in at{};
                   const number l = listener(at, 0);
                   std::vector<number> full;
                   for (int i = 0; i < 3; ++i) {
                     full.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
                     ::connect(full.back().get(), generic(at), sizeof at);
                   }
                   const number fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   set_time(fd.get(), SO_SNDTIMEO, 30ms);
                   t(::connect(fd.get(), generic(at), sizeof at));
                   t(::connect(fd.get(), generic(at), sizeof at));
                 }});
  same_as_libc(all);
}

TEST_CASE("what moves bytes of files refuses what libc refuses, by the same errors", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"positions", [](transcript& t) {
                   const pipe_ends p;
                   const pair s;
                   const number file = some_file("hello");
                   std::array<char, 3> b{};
                   const iovec v{b.data(), b.size()};
                   t(::write(p.writer.get(), "abc", 3));
                   for (const int fd : {p.reader.get(), p.writer.get(), s.ends[0], -1}) {
                     t(::pread(fd, b.data(), b.size(), 0));
                     t(::pwrite(fd, b.data(), b.size(), 0));
                   }
                   t(::read(p.reader.get(), b.data(), b.size()));
                   t(::pread(file.get(), b.data(), b.size(), -1));
                   t(::pwrite(file.get(), b.data(), b.size(), -1));
                   t(::preadv(file.get(), &v, 1, -1));
                   t(::lseek(file.get(), 0, SEEK_CUR));
                   const number folder(::open("/", O_RDONLY | O_CLOEXEC));
                   t(::pread(folder.get(), b.data(), b.size(), 0));
                   t(::fsync(p.reader.get()));
                   t(::fdatasync(p.reader.get()));
                   t(::fsync(-1));
                 }});
  all.push_back({"sendfile", [](transcript& t) {
                   const pipe_ends p;
                   const pair s;
                   const tcp_pair tcp;
                   const number file = some_file("hello world");
                   t(::write(p.writer.get(), "abc", 3));
                   off_t negative = -5;
                   t(::sendfile(s.ends[0], file.get(), &negative, 3));
                   t(::sendfile(s.ends[0], p.reader.get(), nullptr, 3));
                   off_t zero = 0;
                   t(::sendfile(s.ends[0], p.reader.get(), &zero, 3));
                   t(::sendfile(s.ends[0], -1, nullptr, 3));
                   t(::sendfile(s.ends[0], tcp.ours.get(), nullptr, 3));
                   t(::sendfile(-1, file.get(), nullptr, 3));
                   const number end(::memfd_create("end", MFD_CLOEXEC));
                   t(::fcntl(end.get(), F_SETFL, O_APPEND));
                   t(::sendfile(end.get(), file.get(), nullptr, 3));
                   const number read_only(::open("/dev/null", O_RDONLY | O_CLOEXEC));
                   t(::sendfile(read_only.get(), file.get(), nullptr, 3));
                   t(::lseek(file.get(), 0, SEEK_CUR));
                   off_t two = 2;
                   t(::sendfile(s.ends[0], file.get(), &two, 3));
                   t(two);
                   t(::sendfile(p.writer.get(), file.get(), nullptr, 4));
                   t(::lseek(file.get(), 0, SEEK_CUR));
                   std::array<char, 16> b{};
                   t(::read(s.ends[1], b.data(), b.size()));
                   t(::read(p.reader.get(), b.data(), b.size()));
                 }});
  all.push_back({"splice", [](transcript& t) {
                   const pair one, other;
                   const pipe_ends p, q;
                   const number file = some_file("hello");
                   off64_t at = 0;
                   t(::splice(one.ends[0], nullptr, other.ends[0], nullptr, 10, 0));
                   t(::splice(file.get(), nullptr, file.get(), nullptr, 10, 0));
                   t(::splice(p.reader.get(), &at, other.ends[0], nullptr, 10, 0));
                   t(::splice(p.writer.get(), nullptr, q.writer.get(), nullptr, 10, 0));
                   t(::splice(p.reader.get(), nullptr, q.reader.get(), nullptr, 10, 0));
                   t(::splice(p.reader.get(), nullptr, q.writer.get(), nullptr, 0, 0));
                   t(::splice(-1, nullptr, q.writer.get(), nullptr, 10, 0));
                   t(::splice(file.get(), &at, q.writer.get(), nullptr, 3, 0));
                   t(at);
                 }});
  same_as_libc(all);
}

TEST_CASE("children and numbers: errors as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"children", [](transcript& t) {
                   t(::waitpid(::getpid(), nullptr, 0));
                   t(::waitpid(::getpid(), nullptr, 0x100000));
                   const pid_t child = ::fork();
                   if (child == 0) ::_exit(7);
                   siginfo_t s{};
                   t(::waitid(P_PID, static_cast<id_t>(child), &s, WEXITED | WNOWAIT));
                   t(s.si_status);
                   int status = 0;
                   t(::waitpid(child, &status, 0) == child ? 0 : -1);
                   t(WEXITSTATUS(status));
                   t(::waitpid(child, &status, 0));
                   t(::waitid(P_PID, static_cast<id_t>(child), &s, WEXITED));
                 }});
  all.push_back({"threads", [](transcript& t) { t(::pthread_join(::pthread_self(), nullptr)); }});
  all.push_back({"times", [](transcript& t) {
                   epoll_event event{};
                   for (const timespec& each : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}})
                     t(::epoll_pwait2(-1, &event, 1, &each, nullptr));
                 }});
  all.push_back({"numbers", [](transcript& t) {
                   number fd(::eventfd(0, EFD_CLOEXEC));
                   const int n = fd.release();
                   t(::close(n));
                   t(::close(n));
                   t(::close(-1));
                   t(::dup2(1'000'000, 5));
                   t(::dup2(1, 1));
                   t(::dup2(1, -1));
                   t(::dup3(1, 1, 0));
                   t(::fcntl(1'000'000, F_GETFL));
                   t(::fcntl(1, 9999));
                   t(::flock(1'000'000, LOCK_EX));
                   t(::flock(1, 77));
                   char* text = nullptr;
                   std::size_t size = 0;
                   std::FILE* const memory = ::open_memstream(&text, &size);
                   errno = 0;
                   t(std::fclose(memory));
                   t(errno);
                   std::free(text);
                 }});
  same_as_libc(all);
}
