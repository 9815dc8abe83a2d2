#include <zsync/sched/loop.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;

TEST_CASE("a loop whose last fiber ends within run returns from it", "[loop]") {
  zsync::loop own;
  own.post([] { zsync::this_fiber::sleep_for(1ms); });
  own.poll();
  std::this_thread::sleep_for(10ms);  // so that nothing is left to wait for in the kernel
  own.run();
  CHECK(own.stats().fibers_alive == 0);
}

// Only then is a ring enabled, and it may have been refused since.
TEST_CASE("a loop whose backend does not work on the thread that drives it says so, and can be ended",
          "[loop]") {
  const auto ended = test::run_in_child([] {
    try {
      zsync::loop own({.backend = zsync::io_backend::io_uring});
      for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry, gone).string().find("[io_uring]") != std::string::npos)
          ::close(std::stoi(entry.path().filename().string()));
      }
      for (int i = 0; i < 2; ++i) {
        try {
          own.poll();
          std::printf("it works ");
        } catch (const std::system_error&) {
          std::printf("refused ");
        }
      }
    } catch (const std::system_error&) {
      std::printf("refused refused ");  // there is no io_uring here
    }
    std::printf("ended");
    std::fflush(stdout);
  });
  CHECK(ended.exit_code == 0);
  CHECK(ended.out == "refused refused ended");
}
