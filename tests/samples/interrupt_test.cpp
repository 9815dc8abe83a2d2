#include "common/interrupt.hpp"

#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <thread>

using namespace std::chrono_literals;

TEST_CASE("the first interrupt asks", "[interrupt]") {
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto result = zsync::test::run_in_child([signal] {
      std::atomic<bool> asked{false};
      samples::interrupt_watch watch([&] { asked = true; });
      ::raise(signal);
      while (!asked) std::this_thread::sleep_for(1ms);
    });
    CHECK(result.exit_code == 0);
  }
}

TEST_CASE("the second interrupt ends the process at once, whatever the first one started", "[interrupt]") {
  for (const int second : {SIGINT, SIGTERM}) {
    const auto result = zsync::test::run_in_child([second] {
      std::atomic<bool> asked{false};
      samples::interrupt_watch watch([&] {
        asked = true;
        for (;;) ::pause();
      });
      ::raise(SIGINT);
      while (!asked) std::this_thread::sleep_for(1ms);
      ::raise(second);
    });
    CHECK(result.signal == second);
  }
}

TEST_CASE("without an interrupt the watch ends quietly and leaves signals as they were", "[interrupt]") {
  const auto result = zsync::test::run_in_child([] {
    {
      samples::interrupt_watch watch([] { std::abort(); });
    }
    ::raise(SIGTERM);
  });
  CHECK(result.signal == SIGTERM);
}
