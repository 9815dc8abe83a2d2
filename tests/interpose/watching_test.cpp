// What the interposing library says: of mutexes that are held while others run, and of calls that block all
// the same.
#include "interpose/one_worker.hpp"
#include "support/catch.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using namespace zsync::test;

namespace {

// This program, for one of its hidden tests.
child_result run_again(const std::string& tag, const std::vector<std::string>& environment) {
  return run_program({std::filesystem::read_symlink("/proc/self/exe"), tag}, {.environment = environment});
}

}  // namespace

TEST_CASE("a child holds a mutex and sleeps", "[.][holds]") {
  zsync::run(
      [] {
        zsync::this_fiber::set_name("holder");
        std::mutex mutex;
        for (int i = 0; i < 2; ++i) {
          const std::lock_guard hold(mutex);
          ::usleep(1000);
        }
      },
      {.workers = 1});
}

TEST_CASE("a fiber that waits with a pthread mutex in its hand is told of, once", "[interpose]") {
  const child_result said = run_again("[holds]", {"ZSYNC_INTERPOSE_LOCKS=say"});
  CHECK(said.exit_code == 0);
  const std::string text = "waits in usleep() and holds 1 pthread mutex";
  CHECK(said.err.find(text) != std::string::npos);
  CHECK(said.err.find("'holder'") != std::string::npos);
  CHECK(said.err.find(text) == said.err.rfind(text));
  const child_result ended = run_again("[holds]", {"ZSYNC_INTERPOSE_LOCKS=abort"});
  CHECK(ended.signal == SIGABRT);
  CHECK(run_again("[holds]", {"ZSYNC_INTERPOSE_LOCKS=ignore"}).err.empty());
}

TEST_CASE("a child gives its mutexes back before it sleeps", "[.][harmless]") {
  zsync::run(
      [] {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        std::mutex mutex;
        {
          const std::lock_guard hold(mutex);
          char c = 'x';
          CHECK(::write(ends[1], &c, 1) == 1);
          CHECK(::read(ends[0], &c, 1) == 1);
        }
        {
          // Calls that only look.
          const std::lock_guard hold(mutex);
          char c = 0;
          int sockets[2];
          REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
          CHECK(::recv(sockets[0], &c, 1, MSG_DONTWAIT) == -1);
          CHECK(::recvfrom(sockets[0], &c, 1, MSG_DONTWAIT, nullptr, nullptr) == -1);
          while (::send(sockets[1], &c, 1, MSG_DONTWAIT) == 1) continue;
          const timespec none{};
          pollfd p{ends[0], POLLIN, 0};
          CHECK(::ppoll(&p, 1, &none, nullptr) == 0);
          fd_set in;
          FD_ZERO(&in);
          FD_SET(ends[0], &in);
          timeval no_time{};
          CHECK(::select(ends[0] + 1, &in, nullptr, nullptr, &no_time) == 0);
          FD_SET(sockets[0], &in);  // ready
          CHECK(::pselect(sockets[0] + 1, &in, nullptr, nullptr, nullptr, nullptr) == 1);
          const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
          epoll_event event{};
          CHECK(::epoll_pwait2(epoll, &event, 1, &none, nullptr) == 0);
          bool others_ran = false;
          zsync::fiber other([&] { others_ran = true; });
          CHECK(::sleep(0) == 0);
          CHECK(::usleep(0) == 0);
          CHECK(::nanosleep(&none, nullptr) == 0);
          CHECK(::clock_nanosleep(CLOCK_MONOTONIC, 0, &none, nullptr) == 0);
          CHECK(::thrd_sleep(&none, nullptr) == 0);
          // However many calls that do not wait, others who may want the mutex get no turn.
          int done = 0;
          for (int i = 0; i < 100; ++i) {
            done += ::write(ends[1], &c, 1) == 1 && ::read(ends[0], &c, 1) == 1;
            done += ::recv(sockets[0], &c, 0, MSG_DONTWAIT) == 0;
            done += ::poll(&p, 1, 0) == 0;
            done += ::ppoll(&p, 1, &none, nullptr) == 0;
            done += ::epoll_wait(epoll, &event, 1, 0) == 0;
            done += ::epoll_pwait2(epoll, &event, 1, &none, nullptr) == 0;
          }
          CHECK(done == 600);
          CHECK(!others_ran);
          other.detach();
          zsync::this_fiber::yield();
          for (const int fd : {epoll, sockets[0], sockets[1]}) ::close(fd);
        }
        // What one fiber holds is none of another's.
        std::unique_lock held(mutex);
        zsync::fiber other([] { ::usleep(1000); });
        zsync::this_fiber::yield();
        held.unlock();
        ::usleep(1000);
        other.join();
      },
      {.workers = 1});
}

TEST_CASE("who has given its mutexes back, or does not wait, is not told of", "[interpose]") {
  const child_result quiet = run_again("[harmless]", {"ZSYNC_INTERPOSE_LOCKS=abort"});
  CHECK(quiet.err == "");
  CHECK(quiet.exit_code == 0);
}

TEST_CASE("a child uses files and names with a mutex in its hand", "[.][holds-files]") {
  ::alarm(25);  // for who waits for the mutex for ever
  temporary_directory folder;
  const std::string path = folder.path() / "file";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const int copy = ::open((path + "2").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  char c = 'x';
  const iovec v{&c, 1};
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char name[NI_MAXHOST];
  hostent entry{};
  hostent* found = nullptr;
  std::vector<char> buffer(4096);
  int error = 0;
  const std::vector<std::function<bool()>> calls = {
      [&] { return ::pwrite(fd, &c, 1, 0) == 1; },
      [&] { return ::pwritev(fd, &v, 1, 0) == 1; },
      [&] { return ::fsync(fd) == 0; },
      [&] { return ::fdatasync(fd) == 0; },
      [&] {
        ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return ::pread(fd, &c, 1, 0) == 1;
      },
      [&] { return ::preadv(fd, &v, 1, 0) == 1; },
      [&] {
        off_t start = 0;
        return ::sendfile(copy, fd, &start, 1) == 1;
      },
      [&] {
        addrinfo* list = nullptr;
        const bool ok = ::getaddrinfo("localhost", nullptr, nullptr, &list) == 0;
        if (ok) ::freeaddrinfo(list);
        return ok;
      },
      [&] {
        return ::getnameinfo(reinterpret_cast<sockaddr*>(&any), sizeof any, name, sizeof name, nullptr, 0,
                             0) == 0;
      },
      [&] {
        return ::gethostbyname_r("localhost", &entry, buffer.data(), buffer.size(), &found, &error) == 0;
      },
      [&] { return ::gethostbyname("localhost") != nullptr; },
  };
  zsync::test::on_one_worker([&] {
    std::recursive_mutex mutex;
    int inside = 0;
    int most = 0;
    const auto use = [&](int times) {
      for (int i = 0; i < times; ++i) {
        for (std::size_t k = 0; k < calls.size(); ++k) {
          const std::lock_guard hold(mutex);
          most = std::max(most, ++inside);
          INFO(k);
          CHECK(calls[k]());
          --inside;
        }
      }
    };
    zsync::fiber a([&] { use(2); });
    zsync::fiber b([&] { use(2); });
    a.join();
    b.join();
    CHECK(most == 1);
  });
  for (const int each : {fd, copy}) ::close(each);
}

TEST_CASE("files and names are used with a mutex in hand as on a thread: nobody else comes to it",
          "[interpose]") {
  const child_result used = run_again("[holds-files]", {"ZSYNC_INTERPOSE_LOCKS=abort"});
  CHECK(used.exit_code == 0);
  INFO(used.out);
  CHECK(used.err == "");
}

TEST_CASE("a child has a mutex whose owner died, and sleeps", "[.][holds-robust]") {
  static pthread_mutex_t mutex;
  pthread_mutexattr_t robust;
  ::pthread_mutexattr_init(&robust);
  ::pthread_mutexattr_setrobust(&robust, PTHREAD_MUTEX_ROBUST);
  ::pthread_mutex_init(&mutex, &robust);
  std::thread([] { ::pthread_mutex_lock(&mutex); }).join();
  zsync::run(
      [] {
        CHECK(::pthread_mutex_lock(&mutex) == EOWNERDEAD);
        ::usleep(1000);
      },
      {.workers = 1});
}

TEST_CASE("a mutex whose owner died is held by who has got it", "[interpose]") {
  const child_result said = run_again("[holds-robust]", {"ZSYNC_INTERPOSE_LOCKS=say"});
  CHECK(said.exit_code == 0);
  CHECK(said.err.find("waits in usleep() and holds 1 pthread mutex") != std::string::npos);
}

TEST_CASE("a child selects with a mutex in its hand", "[.][holds-select]") {
  zsync::run(
      [] {
        std::mutex mutex;
        const std::lock_guard hold(mutex);
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        fd_set in;
        FD_ZERO(&in);
        FD_SET(ends[0], &in);
        timeval soon{0, 1000};
        ::select(ends[0] + 1, &in, nullptr, nullptr, &soon);
      },
      {.workers = 1});
}

TEST_CASE("a child connects with a mutex in its hand", "[.][holds-connect]") {
  zsync::run(
      [] {
        const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
        REQUIRE(::listen(listener, 1) == 0);
        REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
        std::mutex mutex;
        const std::lock_guard hold(mutex);
        const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(::connect(client, reinterpret_cast<const sockaddr*>(&address), length) == 0);
      },
      {.workers = 1});
}

TEST_CASE("who selects or connects with a pthread mutex in its hand is told of", "[interpose]") {
  for (const std::string call : {"select", "connect"}) {
    const child_result said = run_again("[holds-" + call + "]", {"ZSYNC_INTERPOSE_LOCKS=say"});
    CHECK(said.exit_code == 0);
    CHECK_THAT(said.err, Catch::Contains("waits in " + call + "() and holds 1 pthread mutex"));
  }
}

TEST_CASE("a child waits for a semaphore on a fiber", "[.][blocks]") {
  zsync::run(
      [] {
        sem_t semaphore;
        ::sem_init(&semaphore, 0, 0);
        std::thread poster([&] {
          for (const auto delay : {100ms, 20ms}) {
            std::this_thread::sleep_for(delay);
            ::sem_post(&semaphore);
          }
        });
        volatile int times = 2;  // so that there is one place
        while (times != 0) {
          ::sem_wait(&semaphore);
          times = times - 1;
        }
        poster.join();
        ::usleep(5000);  // blocks nobody
      },
      {.workers = 1});
}

TEST_CASE("the report lists what blocked a worker: what, from where, how often, how long", "[interpose]") {
  const child_result told = run_again("[blocks]", {"ZSYNC_REPORT=1"});
  CHECK(told.err.find("calls that blocked a worker") != std::string::npos);
  const std::size_t line = told.err.find("sem_wait  ");
  REQUIRE(line != std::string::npos);
  CHECK_THAT(told.err.substr(line, told.err.find('\n', line) - line), Catch::Contains("tests-interpose+0x"));
  const std::size_t start = told.err.rfind('\n', line) + 1;
  unsigned long times = 0;
  double in_all = 0;
  double longest = 0;
  REQUIRE(std::sscanf(told.err.c_str() + start, "%lu %lf %lf", &times, &in_all, &longest) == 3);
  CHECK(times >= 1);
  CHECK(2 * longest + 1 >= in_all);  // of two
  CHECK(in_all >= longest);
  CHECK(told.err.find("usleep") == std::string::npos);
  CHECK(run_again("[blocks]", {}).err == "");
}

extern "C" char* __fgets_chk(char*, std::size_t, int, FILE*);
extern "C" std::size_t __fread_chk(void*, std::size_t, std::size_t, std::size_t, FILE*);

namespace {

// Blocks until a thread has written a line, 20 ms later.
template <class F>
void fed_later(F f) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  std::FILE* const file = ::fdopen(ends[0], "r");
  std::thread feeder([&] {
    std::this_thread::sleep_for(20ms);
    CHECK(::write(ends[1], "line\n", 5) == 5);
  });
  f(file);
  feeder.join();
  std::fclose(file);
  ::close(ends[1]);
}

}  // namespace

TEST_CASE("a child blocks in what optimised and fortified programs call", "[.][blocks-otherwise]") {
  zsync::run(
      [] {
        char text[16];
        fed_later(
            [&](std::FILE* file) { CHECK(::__fgets_chk(text, sizeof text, sizeof text, file) == text); });
        fed_later([&](std::FILE* file) { CHECK(::__fread_chk(text, sizeof text, 1, 5, file) == 5); });
        fed_later([](std::FILE* file) {
          char* line = nullptr;
          std::size_t size = 0;
          CHECK(::__getdelim(&line, &size, '\n', file) == 5);
          std::free(line);
        });
        temporary_directory folder;
        const std::string path = folder.path() / "fifo";
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        std::thread opener([&] {
          std::this_thread::sleep_for(20ms);
          std::fclose(std::fopen(path.c_str(), "we"));
        });
        std::fclose(::fopen64(path.c_str(), "re"));
        opener.join();
        for (const bool by_clock : {false, true}) {
          std::timed_mutex mutex;
          mutex.lock();
          std::thread owner([&] { CHECK(!mutex.try_lock_for(1ms)); });
          timespec until{};
          const clockid_t clock = by_clock ? CLOCK_MONOTONIC : CLOCK_REALTIME;
          ::clock_gettime(clock, &until);
          until.tv_nsec += 20'000'000;
          if (until.tv_nsec > 999'999'999) {
            until.tv_nsec -= 1'000'000'000;
            ++until.tv_sec;
          }
          auto* const native = mutex.native_handle();
          CHECK((by_clock ? ::pthread_mutex_clocklock(native, clock, &until)
                          : ::pthread_mutex_timedlock(native, &until)) == ETIMEDOUT);
          owner.join();
          mutex.unlock();
        }
      },
      {.workers = 1});
}

TEST_CASE("the report has the names that optimised and fortified programs call, and locks with a time",
          "[interpose]") {
  const child_result told =
      run_again("[blocks-otherwise]", {"ZSYNC_REPORT=1", "ZSYNC_INTERPOSE_LOCKS=ignore"});
  INFO(told.out);
  INFO(told.err);
  CHECK(told.exit_code == 0);
  for (const char* name : {"__fgets_chk", "__fread_chk", "__getdelim", "fopen64", "pthread_mutex_timedlock",
                           "pthread_mutex_clocklock"}) {
    INFO(name);
    CHECK(told.err.find(std::string(name) + "  ") != std::string::npos);
  }
}
