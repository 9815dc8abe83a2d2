// Memory that is not there is refused as libc refuses it: EFAULT, or whatever comes first.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"

#include <zsync/io/unique_fd.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>
#include <vector>

using zsync::test::episode;
using zsync::test::pair;
using zsync::test::same_as_libc;
using zsync::test::transcript;

namespace {

using number = zsync::unique_fd;

// Three pages: one that can be written to, one that is not there, and one that can only be read.
class pages {
 public:
  pages()
      : begin_(static_cast<char*>(
            ::mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(begin_ != MAP_FAILED);
    REQUIRE(::mprotect(begin_ + page, page, PROT_NONE) == 0);
    REQUIRE(::mprotect(begin_ + 2 * page, page, PROT_READ) == 0);
  }
  ~pages() { ::munmap(begin_, 3 * page); }
  pages(const pages&) = delete;
  pages& operator=(const pages&) = delete;

  // Where no T is: at no address, in the page that is not there, and with a part of it in that.
  template <class T>
  [[nodiscard]] std::array<T*, 3> none() const {
    return {nullptr, reinterpret_cast<T*>(begin_ + page),
            reinterpret_cast<T*>(begin_ + page - sizeof(T) / 2)};
  }
  // Where a T of zeros is that nobody may change.
  template <class T>
  [[nodiscard]] T* constant() const {
    return reinterpret_cast<T*>(begin_ + 2 * page);
  }
  // At the end of what is there.
  template <class T>
  [[nodiscard]] T* last(std::size_t count = 1) const {
    return new (begin_ + page - count * sizeof(T)) T[count]();
  }

 private:
  static constexpr std::size_t page = 4096;
  char* const begin_;
};

// Connected, as programs' are; what comes stands in it.
struct datagrams {
  datagrams() {
    for (number* each : {&ours, &theirs}) {
      each->reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      REQUIRE(::bind(each->get(), reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
      socklen_t size = sizeof at;
      REQUIRE(::getsockname(each->get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    }
  }
  void send(const char* text) const {
    sockaddr_in to{};
    socklen_t size = sizeof to;
    REQUIRE(::getsockname(ours.get(), reinterpret_cast<sockaddr*>(&to), &size) == 0);
    REQUIRE(::sendto(theirs.get(), text, std::strlen(text), 0, reinterpret_cast<sockaddr*>(&to), size) > 0);
  }
  number ours, theirs;
  sockaddr_in at{};  // theirs
};

}  // namespace

TEST_CASE("buffers and arrays that are not there are refused as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"buffers", [](transcript& t) {
                   const pages memory;
                   const number counter(::eventfd(1, EFD_CLOEXEC));
                   const number timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
                   const number file(::memfd_create("some", MFD_CLOEXEC));
                   int ends[2];
                   REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
                   const number reader(ends[0]), writer(ends[1]);
                   const pair s;
                   for (std::uint64_t* const b : memory.none<std::uint64_t>()) {
                     t(::write(counter.get(), b, 8));
                     t(::write(timer.get(), b, 8));
                     t(::write(file.get(), b, 8));
                     t(::pwrite(file.get(), b, 8, 0));
                     t(::write(writer.get(), b, 8) < 8);
                     t(::write(s.ends[0], b, 8));
                     t(::send(s.ends[0], b, 8, 0));
                     t(::write(-1, b, 8));
                   }
                   REQUIRE(::pwrite(file.get(), "12345678", 8, 0) == 8);
                   for (std::uint64_t* const b : memory.none<std::uint64_t>()) {
                     REQUIRE(::write(writer.get(), "12345678", 8) == 8);
                     REQUIRE(::send(s.ends[1], "12345678", 8, 0) == 8);
                     t(::read(counter.get(), b, 8) < 8);
                     t(::read(reader.get(), b, 8) < 8);
                     t(::read(s.ends[0], b, 8) < 8);
                     t(::recv(s.ends[0], b, 8, MSG_WAITALL) < 8);
                     t(::pread(file.get(), b, 8, 0) < 8);
                     REQUIRE(::write(counter.get(), "\1\0\0\0\0\0\0\0", 8) == 8);
                   }
                 }});
  all.push_back({"arrays", [](transcript& t) {
                   const pages memory;
                   const number counter(::eventfd(1, EFD_CLOEXEC));
                   const number file(::memfd_create("some", MFD_CLOEXEC));
                   const pair s;
                   for (const int fd : {s.ends[0], counter.get(), file.get(), -1}) {
                     for (iovec* const v : memory.none<iovec>()) {
                       t(::readv(fd, v, 1));
                       t(::writev(fd, v, 1));
                       t(::readv(fd, v, 0));
                       t(::writev(fd, v, 0));
                       t(::preadv(fd, v, 1, 0));
                       t(::pwritev(fd, v, 1, 0));
                     }
                     t(::writev(fd, memory.last<iovec>(), 2));
                     t(::readv(fd, memory.last<iovec>(), 2));
                   }
                 }});
  same_as_libc(all);
}

TEST_CASE("messages that are not there, or parts of them, are refused as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"messages", [](transcript& t) {
                   const pages memory;
                   const pair s, d(SOCK_DGRAM);
                   const datagrams udp;
                   for (const int fd : {s.ends[0], d.ends[0], udp.ours.get(), -1}) {
                     for (msghdr* const m : memory.none<msghdr>()) {
                       t(::sendmsg(fd, m, 0));
                       t(::recvmsg(fd, m, 0));
                       t(::sendmsg(fd, m, MSG_DONTWAIT));
                       t(::recvmsg(fd, m, MSG_DONTWAIT));
                     }
                     for (mmsghdr* const m : memory.none<mmsghdr>()) {
                       t(::sendmmsg(fd, m, 1, 0));
                       t(::recvmmsg(fd, m, 1, 0, nullptr));
                     }
                   }
                 }});
  all.push_back({"what they name", [](transcript& t) {
                   const pages memory;
                   const pair s, d(SOCK_DGRAM);
                   const datagrams udp;
                   char c = 'x';
                   iovec one{&c, 1};
                   for (const int fd : {s.ends[0], d.ends[0], udp.ours.get()}) {
                     for (iovec* const v : memory.none<iovec>()) {
                       msghdr m{};
                       m.msg_iov = v;
                       m.msg_iovlen = 1;
                       t(::sendmsg(fd, &m, 0));
                       t(::recvmsg(fd, &m, 0));
                       t(::recvmsg(fd, &m, MSG_WAITALL));
                     }
                     for (sockaddr_in* const name : memory.none<sockaddr_in>()) {
                       t(::sendto(fd, &c, 1, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(name), sizeof *name));
                       msghdr m{};
                       m.msg_iov = &one;
                       m.msg_iovlen = 1;
                       m.msg_name = name;
                       m.msg_namelen = sizeof *name;
                       t(::sendmsg(fd, &m, MSG_NOSIGNAL));
                     }
                   }
                   for (timespec* const time : memory.none<timespec>()) {
                     if (time == nullptr) continue;
                     mmsghdr m{};
                     t(::recvmmsg(udp.ours.get(), &m, 1, 0, time));
                   }
                   mmsghdr* const constant = memory.constant<mmsghdr>();
                   t(::sendmmsg(s.ends[0], constant, 1, 0));
                 }});
  all.push_back({"where a name is to go", [](transcript& t) {
                   const pages memory;
                   const datagrams udp;
                   char c = 0;
                   sockaddr_in from{};
                   for (socklen_t* const size : memory.none<socklen_t>()) {
                     udp.send("a");
                     t(::recvfrom(udp.ours.get(), &c, 1, 0, reinterpret_cast<sockaddr*>(&from), size));
                   }
                   for (sockaddr_in* const name : memory.none<sockaddr_in>()) {
                     socklen_t size = sizeof from;
                     udp.send("b");
                     t(::recvfrom(udp.ours.get(), &c, 1, 0, reinterpret_cast<sockaddr*>(name), &size));
                   }
                   udp.send("c");
                   t(::recvfrom(udp.ours.get(), &c, 1, 0, reinterpret_cast<sockaddr*>(&from),
                                memory.constant<socklen_t>()));
                   socklen_t* const last = memory.last<socklen_t>();
                   *last = sizeof from;
                   udp.send("d");
                   t(::recvfrom(udp.ours.get(), &c, 1, 0, reinterpret_cast<sockaddr*>(&from), last));
                   t(static_cast<long>(*last));
                   t(std::string(1, c));
                 }});
  all.push_back({"connections", [](transcript& t) {
                   const pages memory;
                   const number l(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   sockaddr_in at{};
                   at.sin_family = AF_INET;
                   at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                   socklen_t size = sizeof at;
                   auto* const name = reinterpret_cast<sockaddr*>(&at);
                   REQUIRE(::bind(l.get(), name, size) == 0);
                   REQUIRE(::listen(l.get(), 8) == 0);
                   REQUIRE(::getsockname(l.get(), name, &size) == 0);
                   std::vector<number> clients;
                   const auto come = [&] {
                     clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                     REQUIRE(::connect(clients.back().get(), name, size) == 0);
                   };
                   sockaddr_in from{};
                   for (socklen_t* const length : memory.none<socklen_t>()) {
                     come();
                     t(::accept(l.get(), reinterpret_cast<sockaddr*>(&from), length));
                   }
                   for (sockaddr_in* const where : memory.none<sockaddr_in>()) {
                     if (where == nullptr) continue;
                     come();
                     socklen_t length = sizeof from;
                     t(::accept4(l.get(), reinterpret_cast<sockaddr*>(where), &length, SOCK_CLOEXEC));
                   }
                   const number fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
                   for (sockaddr_in* const where : memory.none<sockaddr_in>())
                     t(::connect(fd.get(), reinterpret_cast<sockaddr*>(where), sizeof *where));
                 }});
  same_as_libc(all);
}

TEST_CASE("sets and times that are not there are refused as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"poll", [](transcript& t) {
                   const pages memory;
                   const pair s;
                   for (pollfd* const p : memory.none<pollfd>()) {
                     for (const int time : {0, 10, -1}) {
                       t(::poll(p, 1, time));
                       t(::poll(p, 3, time));
                     }
                     t(::ppoll(p, 1, nullptr, nullptr));
                     t(::poll(p, 0, 1));
                   }
                   pollfd* const two = memory.last<pollfd>(2);
                   two[0] = two[1] = {s.ends[0], POLLOUT, 0};
                   t(::poll(two, 3, -1));
                   t(::poll(two, 2, -1));
                   t(::poll(two + 1, 1, -1));
                   sigset_t* const mask = memory.none<sigset_t>()[1];
                   t(::ppoll(two, 1, nullptr, mask));
                   *two = {s.ends[0], POLLIN, 0};
                   t(::poll(memory.constant<pollfd>(), 1, 1));
                 }});
  all.push_back({"select", [](transcript& t) {
                   const pages memory;
                   const pair s;
                   for (int set = 0; set < 3; ++set) {
                     for (fd_set* const bad : memory.none<fd_set>()) {
                       if (bad == nullptr) continue;
                       fd_set* sets[3] = {};
                       sets[set] = bad;
                       timeval time{0, 1000};
                       t(::select(1023, sets[0], sets[1], sets[2], &time));
                       const timespec none{};
                       t(::pselect(1023, sets[0], sets[1], sets[2], &none, nullptr));
                     }
                   }
                   timeval time{0, 1000};
                   t(::select(-1, memory.none<fd_set>()[1], nullptr, nullptr, &time));
                   t(::select(0, memory.none<fd_set>()[1], nullptr, nullptr, &time));
                 }});
  all.push_back({"events", [](transcript& t) {
                   const pages memory;
                   const number set(::epoll_create1(EPOLL_CLOEXEC));
                   const number counter(::eventfd(1, EFD_CLOEXEC));
                   epoll_event event{};
                   event.events = EPOLLIN;
                   REQUIRE(::epoll_ctl(set.get(), EPOLL_CTL_ADD, counter.get(), &event) == 0);
                   for (epoll_event* const e : memory.none<epoll_event>())
                     t(::epoll_wait(set.get(), e, 1, -1));
                   for (timespec* const time : memory.none<timespec>()) {
                     if (time != nullptr) t(::epoll_pwait2(set.get(), &event, 1, time, nullptr));
                   }
                 }});
  all.push_back({"sleeps", [](transcript& t) {
                   const pages memory;
                   for (timespec* const time : memory.none<timespec>()) {
                     t(::nanosleep(time, nullptr));
                     t(::clock_nanosleep(CLOCK_MONOTONIC, 0, time, nullptr));
                     t(::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, time, nullptr));
                     t(::clock_nanosleep(99, 0, time, nullptr));
                     t(::thrd_sleep(time, nullptr));
                   }
                   const timespec* const last = memory.last<timespec>();
                   t(::nanosleep(last, nullptr));
                   t(::nanosleep(memory.constant<timespec>(), memory.constant<timespec>()));
                 }});
  same_as_libc(all);
}

TEST_CASE("of files, children and locks, what is not there is refused as in libc", "[interpose]") {
  std::vector<episode> all;
  all.push_back({"files", [](transcript& t) {
                   const pages memory;
                   const pair s;
                   const number file(::memfd_create("some", MFD_CLOEXEC));
                   REQUIRE(::pwrite(file.get(), "hello", 5, 0) == 5);
                   for (off_t* const at : memory.none<off_t>()) {
                     if (at == nullptr) continue;
                     t(::sendfile(s.ends[0], file.get(), at, 5));
                   }
                   int ends[2];
                   REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
                   const number reader(ends[0]), writer(ends[1]);
                   for (off64_t* const at : memory.none<off64_t>()) {
                     if (at == nullptr) continue;
                     t(::splice(file.get(), at, writer.get(), nullptr, 5, 0));
                   }
                   for (struct flock* const lock : memory.none<struct flock>())
                     t(::fcntl(file.get(), F_SETLKW, lock));
                 }});
  all.push_back({"children", [](transcript& t) {
                   const pages memory;
                   int* const statuses[] = {memory.none<int>()[1], memory.constant<int>()};
                   for (int* const status : statuses) {
                     const pid_t child = ::fork();
                     if (child == 0) ::_exit(0);
                     t(::waitpid(child, status, 0) == child ? 0 : -1);
                     t(::waitpid(child, nullptr, 0));
                   }
                   siginfo_t* const answers[] = {memory.none<siginfo_t>()[1], memory.constant<siginfo_t>()};
                   for (siginfo_t* const found : answers) {
                     const pid_t child = ::fork();
                     if (child == 0) ::_exit(0);
                     t(::waitid(P_PID, static_cast<id_t>(child), found, WEXITED));
                     t(::waitpid(child, nullptr, 0));
                   }
                 }});
  same_as_libc(all);
}
