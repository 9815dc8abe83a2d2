// What the interposing library says: of mutexes that are held while others run, and of calls that block all
// the same.
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
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
  CHECK(told.err.find("sem_wait  tests-interpose") != std::string::npos);
  CHECK(told.err.find("usleep") == std::string::npos);
  CHECK(run_again("[blocks]", {}).err == "");
}
