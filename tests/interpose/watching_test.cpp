// What the interposing library says: of mutexes that are held while others run, and of calls that block all
// the same.
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
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
          for (int i = 0; i < 2; ++i) {
            std::this_thread::sleep_for(20ms);
            ::sem_post(&semaphore);
          }
        });
        for (int i = 0; i < 2; ++i) ::sem_wait(&semaphore);
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
  CHECK(told.err.find("usleep") == std::string::npos);
  CHECK(run_again("[blocks]", {}).err == "");
}
