// libc's calls, by their plain names: on a fiber they let others run, off one they are libc's.
#include "interpose/one_worker.hpp"
#include "interpose/pair.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using zsync::test::on_one_worker;
using zsync::test::pair;

// What fortified programs call, and glibc's own names.
extern "C" {
ssize_t __read(int, void*, size_t);
ssize_t __write(int, const void*, size_t);
ssize_t __send(int, const void*, size_t, int);
int __connect(int, const sockaddr*, socklen_t);
int __poll(pollfd*, nfds_t, int);
ssize_t __read_chk(int, void*, size_t, size_t);
ssize_t __recv_chk(int, void*, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
int __poll_chk(pollfd*, nfds_t, int, size_t);
int __ppoll_chk(pollfd*, nfds_t, const timespec*, const sigset_t*, size_t);
}

namespace {

// The call must still wait when the other fiber comes, and go on once that one has sent a byte.
void waits_for_a_byte(const char* name, const std::function<long(int)>& call) {
  INFO(name);
  const pair s;
  bool sent = false;
  zsync::fiber waker([&] {
    zsync::this_fiber::sleep_for(2ms);
    sent = true;
    return ::send(s.ends[1], "x", 1, 0);
  });
  errno = 77;
  const long result = call(s.ends[0]);
  const int error = errno;
  CHECK(sent);
  CHECK(result == 1);
  CHECK(error == 77);
  CHECK(waker.join() == 1);
}

// Writes more than fits, which another fiber reads.
void waits_for_room(const char* name, const std::function<long(int, const void*, std::size_t)>& call) {
  INFO(name);
  const pair s;
  const std::string much(1 << 20, 'x');
  zsync::fiber reader([&] {
    std::vector<char> buffer(1 << 16);
    std::size_t all = 0;
    while (all < much.size()) {
      const ssize_t n = ::recv(s.ends[1], buffer.data(), buffer.size(), 0);
      if (n <= 0) break;
      all += static_cast<std::size_t>(n);
    }
    return all;
  });
  CHECK(call(s.ends[0], much.data(), much.size()) == static_cast<long>(much.size()));
  CHECK(reader.join() == much.size());
}

sockaddr_in loopback() {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return a;
}

}  // namespace

TEST_CASE("reading calls let other fibers run", "[interpose]") {
  on_one_worker([] {
    std::array<char, 8> b{};
    iovec v{b.data(), b.size()};
    waits_for_a_byte("read", [&](int fd) { return ::read(fd, b.data(), b.size()); });
    waits_for_a_byte("readv", [&](int fd) { return ::readv(fd, &v, 1); });
    waits_for_a_byte("recv", [&](int fd) { return ::recv(fd, b.data(), b.size(), 0); });
    waits_for_a_byte("recv, peeking", [&](int fd) { return ::recv(fd, b.data(), b.size(), MSG_PEEK); });
    waits_for_a_byte("recvfrom",
                     [&](int fd) { return ::recvfrom(fd, b.data(), b.size(), 0, nullptr, nullptr); });
    waits_for_a_byte("recvmsg", [&](int fd) {
      msghdr m{};
      m.msg_iov = &v;
      m.msg_iovlen = 1;
      return ::recvmsg(fd, &m, 0);
    });
    waits_for_a_byte("recvmmsg", [&](int fd) {
      mmsghdr m{};
      m.msg_hdr.msg_iov = &v;
      m.msg_hdr.msg_iovlen = 1;
      return ::recvmmsg(fd, &m, 1, 0, nullptr);
    });
    waits_for_a_byte("__read", [&](int fd) { return ::__read(fd, b.data(), b.size()); });
    waits_for_a_byte("__read_chk", [&](int fd) { return ::__read_chk(fd, b.data(), b.size(), b.size()); });
    waits_for_a_byte("__recv_chk", [&](int fd) { return ::__recv_chk(fd, b.data(), b.size(), b.size(), 0); });
    waits_for_a_byte("__recvfrom_chk", [&](int fd) {
      return ::__recvfrom_chk(fd, b.data(), b.size(), b.size(), 0, nullptr, nullptr);
    });
  });
}

TEST_CASE("waits for readiness let other fibers run", "[interpose]") {
  on_one_worker([] {
    const timespec long_time{60, 0};
    waits_for_a_byte("poll", [](int fd) {
      pollfd p{fd, POLLIN, 0};
      return ::poll(&p, 1, -1);
    });
    waits_for_a_byte("__poll", [](int fd) {
      pollfd p{fd, POLLIN, 0};
      return ::__poll(&p, 1, 60'000);
    });
    waits_for_a_byte("__poll_chk", [](int fd) {
      pollfd p{fd, POLLIN, 0};
      return ::__poll_chk(&p, 1, 60'000, sizeof p);
    });
    waits_for_a_byte("ppoll", [&](int fd) {
      pollfd p{fd, POLLIN, 0};
      return ::ppoll(&p, 1, &long_time, nullptr);
    });
    waits_for_a_byte("__ppoll_chk", [&](int fd) {
      pollfd p{fd, POLLIN, 0};
      return ::__ppoll_chk(&p, 1, nullptr, nullptr, sizeof p);
    });
    waits_for_a_byte("select", [](int fd) {
      fd_set in;
      FD_ZERO(&in);
      FD_SET(fd, &in);
      return ::select(fd + 1, &in, nullptr, nullptr, nullptr);
    });
    waits_for_a_byte("pselect", [&](int fd) {
      fd_set in;
      FD_ZERO(&in);
      FD_SET(fd, &in);
      return ::pselect(fd + 1, &in, nullptr, nullptr, &long_time, nullptr);
    });
    const auto with_epoll = [](int fd, const std::function<int(int, epoll_event*)>& wait) {
      const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
      epoll_event e{};
      e.events = EPOLLIN;
      e.data.fd = fd;
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
      std::array<epoll_event, 4> found{};
      const int n = wait(epoll, found.data());
      const int error = errno;
      ::close(epoll);
      errno = error;
      return n == 1 && found[0].data.fd == fd ? 1L : -1L;
    };
    waits_for_a_byte("epoll_wait", [&](int fd) {
      return with_epoll(fd, [](int epoll, epoll_event* e) { return ::epoll_wait(epoll, e, 4, -1); });
    });
    waits_for_a_byte("epoll_pwait", [&](int fd) {
      return with_epoll(
          fd, [](int epoll, epoll_event* e) { return ::epoll_pwait(epoll, e, 4, 60'000, nullptr); });
    });
    waits_for_a_byte("epoll_pwait2", [&](int fd) {
      return with_epoll(
          fd, [&](int epoll, epoll_event* e) { return ::epoll_pwait2(epoll, e, 4, &long_time, nullptr); });
    });
  });
}

TEST_CASE("writing calls let other fibers run, and write all", "[interpose]") {
  on_one_worker([] {
    waits_for_room("write", [](int fd, const void* p, std::size_t n) { return ::write(fd, p, n); });
    waits_for_room("send", [](int fd, const void* p, std::size_t n) { return ::send(fd, p, n, 0); });
    waits_for_room("sendto",
                   [](int fd, const void* p, std::size_t n) { return ::sendto(fd, p, n, 0, nullptr, 0); });
    waits_for_room("__write", [](int fd, const void* p, std::size_t n) { return ::__write(fd, p, n); });
    waits_for_room("__send", [](int fd, const void* p, std::size_t n) { return ::__send(fd, p, n, 0); });
    waits_for_room("writev", [](int fd, const void* p, std::size_t n) {
      const iovec v{const_cast<void*>(p), n};
      return ::writev(fd, &v, 1);
    });
    waits_for_room("sendmsg", [](int fd, const void* p, std::size_t n) {
      iovec v{const_cast<void*>(p), n};
      msghdr m{};
      m.msg_iov = &v;
      m.msg_iovlen = 1;
      return ::sendmsg(fd, &m, 0);
    });
    waits_for_room("sendfile", [](int fd, const void* p, std::size_t n) {
      zsync::test::temporary_directory folder;
      const std::string path = folder.path() / "file";
      const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      REQUIRE(::pwrite(file, p, n, 0) == static_cast<ssize_t>(n));
      off_t at = 0;
      const ssize_t sent = ::sendfile(fd, file, &at, n);
      CHECK(at == static_cast<off_t>(n));
      ::close(file);
      return sent;
    });
  });
}

TEST_CASE("accept and connect let other fibers run", "[interpose]") {
  on_one_worker([] {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback();
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener, 16) == 0);
    REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    for (const bool four : {false, true}) {
      bool came = false;
      zsync::fiber client([&] {
        zsync::this_fiber::sleep_for(2ms);
        came = true;
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const auto* const to = reinterpret_cast<const sockaddr*>(&address);
        const int result = four ? ::connect(fd, to, length) : ::__connect(fd, to, length);
        const int mode = ::fcntl(fd, F_GETFL);
        ::close(fd);
        return result == 0 && (mode & O_NONBLOCK) == 0;
      });
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      auto* const from = reinterpret_cast<sockaddr*>(&peer);
      const int accepted =
          four ? ::accept4(listener, from, &size, SOCK_CLOEXEC) : ::accept(listener, from, &size);
      CHECK(came);
      CHECK(accepted >= 0);
      CHECK(peer.sin_family == AF_INET);
      CHECK((::fcntl(accepted, F_GETFL) & O_NONBLOCK) == 0);
      CHECK((::fcntl(listener, F_GETFL) & O_NONBLOCK) == 0);
      CHECK(client.join());
      ::close(accepted);
    }
    ::close(listener);
    const int refused = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(::connect(refused, reinterpret_cast<const sockaddr*>(&address), length) == -1);
    CHECK(errno == ECONNREFUSED);
    ::close(refused);
  });
}

TEST_CASE("sleeps let other fibers run, and last long enough", "[interpose]") {
  on_one_worker([] {
    const timespec t{0, 20'000'000};
    const auto sleeps = [](const char* name, std::chrono::nanoseconds least,
                           const std::function<int()>& call) {
      INFO(name);
      bool ended = false;
      int turns = 0;
      zsync::fiber other([&] {
        while (!ended) {
          ++turns;
          zsync::this_fiber::sleep_for(1ms);
        }
      });
      const auto begin = std::chrono::steady_clock::now();
      CHECK(call() == 0);
      CHECK(std::chrono::steady_clock::now() - begin >= least);
      ended = true;
      other.join();
      CHECK(turns >= 2);
    };
    sleeps("sleep", 1s, [] { return static_cast<int>(::sleep(1)); });
    sleeps("usleep", 20ms, [] { return ::usleep(20'000); });
    sleeps("nanosleep", 20ms, [&] { return ::nanosleep(&t, nullptr); });
    sleeps("thrd_sleep", 20ms, [&] { return ::thrd_sleep(&t, nullptr); });
    sleeps("clock_nanosleep", 20ms, [&] { return ::clock_nanosleep(CLOCK_MONOTONIC, 0, &t, nullptr); });
    sleeps("clock_nanosleep, until", 20ms, [] {
      timespec until{};
      ::clock_gettime(CLOCK_REALTIME, &until);
      until.tv_nsec += 20'000'000;
      if (until.tv_nsec >= 1'000'000'000) {
        until.tv_nsec -= 1'000'000'000;
        ++until.tv_sec;
      }
      return ::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr);
    });
    sleeps("sleep_for", 20ms, [] {
      std::this_thread::sleep_for(20ms);
      return 0;
    });
    sleeps("poll of nothing", 20ms, [] { return ::poll(nullptr, 0, 20); });
    sleeps("select of nothing", 20ms, [] {
      timeval wait{0, 20'000};
      return ::select(0, nullptr, nullptr, nullptr, &wait);
    });
  });
}

TEST_CASE("what was set on a descriptor holds: non-blocking, time-outs, flags", "[interpose]") {
  on_one_worker([] {
    const pair s;
    char c = 0;
    CHECK(::recv(s.ends[0], &c, 1, MSG_DONTWAIT) == -1);
    CHECK(errno == EAGAIN);
    int on = 1;
    CHECK(::ioctl(s.ends[0], FIONBIO, &on) == 0);
    CHECK((::fcntl(s.ends[0], F_GETFL) & O_NONBLOCK) != 0);
    CHECK(::read(s.ends[0], &c, 1) == -1);
    CHECK(errno == EAGAIN);
    CHECK(::accept(s.ends[0], nullptr, nullptr) == -1);
    CHECK(::fcntl(s.ends[0], F_SETFL, 0) == 0);
    const timeval limit{0, 20'000};
    CHECK(::setsockopt(s.ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    const auto begin = std::chrono::steady_clock::now();
    CHECK(::recv(s.ends[0], &c, 1, 0) == -1);
    CHECK(errno == EAGAIN);
    CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
    CHECK(::read(-1, &c, 1) == -1);
    CHECK(errno == EBADF);
    CHECK(::poll(nullptr, 0, 0) == 0);
    // All of it, in two parts.
    const pair whole;
    zsync::fiber writer([&] {
      ::send(whole.ends[1], "ab", 2, 0);
      zsync::this_fiber::sleep_for(2ms);
      ::send(whole.ends[1], "cd", 2, 0);
    });
    char four[4];
    CHECK(::recv(whole.ends[0], four, 4, MSG_WAITALL) == 4);
    writer.join();
  });
}

TEST_CASE("a signal interrupts no call of a fiber", "[interpose]") {
  on_one_worker([] {
    static std::atomic<int> handled;
    handled = 0;
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) { ++handled; };
    ::sigaction(SIGUSR1, &action, &before);
    waits_for_a_byte("read", [](int fd) {
      zsync::fiber sender([] {
        for (int i = 0; i < 3; ++i) {
          ::raise(SIGUSR1);
          zsync::this_fiber::yield();
        }
      });
      char c = 0;
      const long n = ::read(fd, &c, 1);
      sender.join();
      return n;
    });
    CHECK(handled == 3);
    ::sigaction(SIGUSR1, &before, nullptr);
  });
}

TEST_CASE("closing a number, however it is done, wakes who waits for it", "[interpose]") {
  const auto wakes = [](const char* name, const std::function<void(int)>& end) {
    INFO(name);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    zsync::fiber waiting([&] {
      char c = 0;
      const ssize_t n = ::read(ends[0], &c, 1);
      return n < 0 ? errno : 0;
    });
    zsync::this_fiber::sleep_for(2ms);
    end(ends[0]);
    CHECK(waiting.join() == EBADF);
    ::close(ends[1]);
  };
  on_one_worker([&] {
    wakes("close", [](int fd) { CHECK(::close(fd) == 0); });
    wakes("dup2", [](int fd) {
      CHECK(::dup2(STDERR_FILENO, fd) == fd);
      ::close(fd);
    });
    wakes("dup3", [](int fd) {
      CHECK(::dup3(STDERR_FILENO, fd, O_CLOEXEC) == fd);
      ::close(fd);
    });
    wakes("close_range",
          [](int fd) { CHECK(::close_range(static_cast<unsigned>(fd), static_cast<unsigned>(fd), 0) == 0); });
    wakes("fclose", [](int fd) { CHECK(::fclose(::fdopen(fd, "r")) == 0); });
  });
}

TEST_CASE("names are looked up while other fibers run", "[interpose]") {
  on_one_worker([] {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* found = nullptr;
    CHECK(::getaddrinfo("127.0.0.1", "80", &hints, &found) == 0);
    REQUIRE(found != nullptr);
    char host[64];
    CHECK(::getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) ==
          0);
    CHECK(std::string(host) == "127.0.0.1");
    ::freeaddrinfo(found);
    const hostent* const a = ::gethostbyname("127.0.0.1");
    REQUIRE(a != nullptr);
    CHECK(a->h_length == 4);
    const std::string first(a->h_addr_list[0], 4);
    // Another fiber's question leaves this one's answer alone.
    zsync::fiber([] { return ::gethostbyname("127.0.0.2") != nullptr; }).join();
    CHECK(std::string(a->h_addr_list[0], 4) == first);
    hostent entry{};
    hostent* result = nullptr;
    char small[1];
    int error = 0;
    CHECK(::gethostbyname_r("127.0.0.1", &entry, small, sizeof small, &result, &error) == ERANGE);
  });
}

TEST_CASE("files are read and written as ever", "[interpose]") {
  on_one_worker([] {
    zsync::test::temporary_directory folder;
    const std::string path = folder.path() / "file";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    CHECK(::pwrite(fd, "hello world", 11, 0) == 11);
    CHECK(::fsync(fd) == 0);
    CHECK(::fdatasync(fd) == 0);
    char b[32];
    CHECK(::pread(fd, b, sizeof b, 6) == 5);
    CHECK(std::string(b, 5) == "world");
    CHECK(::pread64(fd, b, 4, 0) == 4);
    CHECK(::pread(fd, b, sizeof b, 11) == 0);
    const iovec v{b, 5};
    CHECK(::preadv(fd, &v, 1, 0) == 5);
    CHECK(::pwritev(fd, &v, 1, 20) == 5);
    CHECK(::lseek(fd, 0, SEEK_CUR) == 0);
    CHECK(::read(fd, b, 5) == 5);
    CHECK(std::string(b, 5) == "hello");
    CHECK(::write(fd, "!", 1) == 1);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    CHECK(::fcntl(fd, F_SETLKW, &whole) == 0);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    off64_t at = 0;
    CHECK(::splice(fd, &at, ends[1], nullptr, 5, 0) == 5);
    CHECK(::read(ends[0], b, sizeof b) == 5);
    for (const int each : {fd, ends[0], ends[1]}) ::close(each);
  });
}

TEST_CASE("children and threads are waited for while other fibers run", "[interpose]") {
  on_one_worker([] {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // On its fiber's stack, and no fiber: these are libc's own.
      char c = 0;
      ::_exit(::read(ends[0], &c, 1) == 1 ? 5 : 6);
    }
    zsync::fiber waker([&] { return ::write(ends[1], "x", 1); });
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 5));
    waker.join();
    std::atomic<bool> go{false};
    std::thread thread([&] {
      while (!go) std::this_thread::sleep_for(1ms);
    });
    zsync::fiber starter([&] { go = true; });
    thread.join();
    starter.join();
    for (const int fd : ends) ::close(fd);
  });
}

TEST_CASE("off a fiber the calls are libc's", "[interpose]") {
  const pair s;
  char c = 0;
  std::thread writer([&] {
    std::this_thread::sleep_for(2ms);
    ::send(s.ends[1], "x", 1, 0);
  });
  CHECK(::read(s.ends[0], &c, 1) == 1);
  writer.join();
  // A signal interrupts, and SIGPIPE comes.
  struct sigaction action {};
  action.sa_handler = [](int) {};
  struct sigaction alarm_before {};
  struct sigaction pipe_before {};
  ::sigaction(SIGALRM, &action, &alarm_before);
  static std::atomic<int> pipes;
  pipes = 0;
  action.sa_handler = [](int) { ++pipes; };
  ::sigaction(SIGPIPE, &action, &pipe_before);
  const itimerval soon{{0, 5'000}, {0, 5'000}};
  const itimerval never{};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  CHECK(::read(s.ends[0], &c, 1) == -1);
  const int error = errno;
  ::setitimer(ITIMER_REAL, &never, nullptr);
  CHECK(error == EINTR);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  CHECK(::write(ends[1], "x", 1) == -1);
  CHECK(errno == EPIPE);
  CHECK(pipes == 1);
  ::close(ends[1]);
  ::sigaction(SIGALRM, &alarm_before, nullptr);
  ::sigaction(SIGPIPE, &pipe_before, nullptr);
}
