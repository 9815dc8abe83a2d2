// What calls hand back beside their result, and what they ask for beside their data, is as in libc.
#include "interpose/difference.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <arpa/nameser.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace zsync::test;

extern "C" {
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __pread_chk(int, void*, size_t, off_t, size_t);
ssize_t __pread64_chk(int, void*, size_t, off64_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
}

TEST_CASE("descriptors that go with a message go once, in however many parts that is sent", "[interpose]") {
  same_as_libc({{"rights", [](transcript& t) {
                   const pair s;
                   std::vector<char> much(1 << 20);
                   iovec v{much.data(), much.size()};
                   alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
                   msghdr m{};
                   m.msg_iov = &v;
                   m.msg_iovlen = 1;
                   m.msg_control = control;
                   m.msg_controllen = sizeof control;
                   cmsghdr* const c = CMSG_FIRSTHDR(&m);
                   c->cmsg_level = SOL_SOCKET;
                   c->cmsg_type = SCM_RIGHTS;
                   c->cmsg_len = CMSG_LEN(sizeof(int));
                   std::memcpy(CMSG_DATA(c), &s.ends[0], sizeof(int));
                   int received = 0;
                   std::thread reader([&] {
                     std::vector<char> buffer(1 << 16);
                     for (std::size_t all = 0; all < much.size();) {
                       iovec part{buffer.data(), buffer.size()};
                       alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
                       msghdr in{};
                       in.msg_iov = &part;
                       in.msg_iovlen = 1;
                       in.msg_control = room;
                       in.msg_controllen = sizeof room;
                       const ssize_t n = ::recvmsg(s.ends[1], &in, MSG_CMSG_CLOEXEC);
                       if (n <= 0) break;
                       all += static_cast<std::size_t>(n);
                       const cmsghdr* const found = CMSG_FIRSTHDR(&in);
                       if (found == nullptr) continue;
                       int fd = -1;
                       std::memcpy(&fd, CMSG_DATA(found), sizeof fd);
                       ::close(fd);
                       ++received;
                     }
                   });
                   t(::sendmsg(s.ends[0], &m, 0));
                   zsync::blocking([&] { reader.join(); });
                   t(received);
                 }}});
}

TEST_CASE("what a thread or a child leaves behind comes to who has waited for it", "[interpose]") {
  on_one_worker([] {
    int value = 0;
    std::atomic<bool> go{false};
    struct shared {
      int* value;
      std::atomic<bool>* go;
    } both{&value, &go};
    pthread_t thread;
    REQUIRE(::pthread_create(
                &thread, nullptr,
                [](void* p) -> void* {
                  const auto& with = *static_cast<shared*>(p);
                  while (!*with.go) std::this_thread::sleep_for(1ms);
                  return with.value;
                },
                &both) == 0);
    zsync::fiber starter([&] { go = true; });
    void* result = nullptr;
    CHECK(::pthread_join(thread, &result) == 0);
    CHECK(result == &value);
    starter.join();
    for (const int options : {0, WUNTRACED}) {  // by its pidfd, and by a helper
      int ends[2];
      REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
      const pid_t child = ::fork();
      if (child == 0) {
        char c = 0;
        ::_exit(::read(ends[0], &c, 1) == 1 ? 5 : 6);
      }
      zsync::fiber waker([&] { return ::write(ends[1], "x", 1); });
      rusage usage{};
      int status = 0;
      CHECK(::wait4(child, &status, options, &usage) == child);
      CHECK(WEXITSTATUS(status) == 5);
      CHECK(usage.ru_maxrss > 0);
      waker.join();
      for (const int fd : ends) ::close(fd);
    }
  });
}

TEST_CASE("fortified calls end a program that has less room than it says", "[interpose]") {
  char b[8] = {};
  pollfd p{-1, 0, 0};
  const timespec none{};
  const std::vector<std::function<void()>> calls = {
      [&] { ::__read_chk(0, b, 9, 8); },
      [&] { ::__pread_chk(0, b, 9, 0, 8); },
      [&] { ::__pread64_chk(0, b, 9, 0, 8); },
      [&] { ::__recv_chk(0, b, 9, 8, MSG_DONTWAIT); },
      [&] { ::__recvfrom_chk(0, b, 9, 8, MSG_DONTWAIT, nullptr, nullptr); },
      [&] { ::__poll_chk(&p, 2, 0, sizeof p); },
      [&] { ::__ppoll_chk(&p, 2, &none, nullptr, sizeof p); },
  };
  for (std::size_t i = 0; i < calls.size(); ++i) {
    INFO(i);
    CHECK(run_in_child(calls[i]).signal == SIGABRT);
  }
}

TEST_CASE("files are written where it is asked for", "[interpose]") {
  same_as_libc({{"pwritev", [](transcript& t) {
                   temporary_directory folder;
                   const int fd =
                       ::open((folder.path() / "file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
                   char text[] = "abcdef";
                   const iovec v{text, 6};
                   t(::pwritev(fd, &v, 1, 0));
                   t(::pwritev(fd, &v, 1, 3));
                   char found[16] = {};
                   iovec into{found, sizeof found};
                   t(::preadv(fd, &into, 1, 1));
                   t(std::string(found));
                   ::close(fd);
                 }}});
}

TEST_CASE("a host's entry may be long, and its errors are told by h_errno", "[interpose]") {
  same_as_libc({{"long",
                 [](transcript& t) {
                   const std::string name = std::string(3000, '0') + "177.0.0.1";
                   const hostent* const entry = ::gethostbyname(name.c_str());
                   t(entry != nullptr && entry->h_name == name);
                   t(entry != nullptr && entry->h_addr_list[0][0] == 127);
                 }},
                {"errors", [](transcript& t) {
                   h_errno = 0;
                   unsigned char answer[64];
                   const std::string too_long(2000, 'x');
                   t(::res_query(too_long.c_str(), ns_c_in, ns_t_a, answer, sizeof answer) < 0);
                   t(h_errno);
                 }}});
}

TEST_CASE("peeking for all of a message ends by the socket's time-out", "[interpose]") {
  same_as_libc({{"peek", [](transcript& t) {
                   const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                   sockaddr_in where{};
                   where.sin_family = AF_INET;
                   where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                   socklen_t size = sizeof where;
                   auto* const address = reinterpret_cast<sockaddr*>(&where);
                   REQUIRE(::bind(listener, address, size) == 0);
                   REQUIRE(::listen(listener, 1) == 0);
                   REQUIRE(::getsockname(listener, address, &size) == 0);
                   const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
                   REQUIRE(::connect(client, address, size) == 0);
                   const int server = ::accept(listener, nullptr, nullptr);
                   const timeval time{0, 5000};
                   ::setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
                   t(::send(client, "x", 1, 0));
                   char b[4];
                   t(::recv(server, b, sizeof b, MSG_PEEK | MSG_WAITALL));
                   for (const int fd : {client, server, listener}) ::close(fd);
                 }}});
}

TEST_CASE("select() says how much of its time is left", "[interpose]") {
  on_one_worker([] {
    const pair s;
    fd_set in;
    FD_ZERO(&in);
    FD_SET(s.ends[0], &in);
    timeval time{1000, 0};
    zsync::fiber sender([&] {
      ::usleep(2000);
      return ::send(s.ends[1], "x", 1, 0);
    });
    CHECK(::select(s.ends[0] + 1, &in, nullptr, nullptr, &time) == 1);
    CHECK(time.tv_sec < 1000);
    CHECK(time.tv_sec > 0);
    sender.join();
    char c = 0;
    CHECK(::recv(s.ends[0], &c, 1, 0) == 1);
    time = {0, 2000};
    CHECK(::select(s.ends[0] + 1, &in, nullptr, nullptr, &time) == 0);
    CHECK(time.tv_sec == 0);
    CHECK(time.tv_usec == 0);
  });
}

TEST_CASE("a scope's end is not that of the time that epoll_wait() was given", "[interpose]") {
  on_one_worker([] {
    const int set = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    {
      const zsync::deadline_scope scope(2ms);
      CHECK(::epoll_wait(set, &event, 1, 100'000) == -1);
      CHECK(errno == ETIMEDOUT);
    }
    CHECK(::epoll_wait(set, &event, 1, 2) == 0);
    ::close(set);
  });
}
