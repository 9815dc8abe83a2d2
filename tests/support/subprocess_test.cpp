#include "support/subprocess.hpp"

#include "support/catch.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace test = zsync::test;

TEST_CASE("a child's output and status are its parent's to read", "[support]") {
  const auto result = test::run_in_child([] {
    std::puts("out");
    std::fputs("err", stderr);
    std::fflush(nullptr);
    std::_Exit(7);
  });
  CHECK(result.exit_code == 7);
  CHECK(result.out == "out\n");
  CHECK(result.err == "err");
}

TEST_CASE("a child that crashes, throws or hangs is told apart", "[support]") {
  CHECK(test::run_in_child([] { std::abort(); }).signal == SIGABRT);
  const auto threw = test::run_in_child([] { throw std::runtime_error("no luck"); });
  CHECK(threw.exit_code == 99);
  CHECK(threw.err == "no luck\n");
  const auto hung = test::run_in_child([] { pause(); }, {.timeout = std::chrono::milliseconds{50}});
  CHECK(hung.timed_out);
  CHECK(hung.signal == SIGKILL);
}

TEST_CASE("a forbidden system call fails in the child with the error asked for", "[support]") {
  const auto forbidden = [] {
    const long result = syscall(SYS_getppid);
    std::printf("%ld %d", result, errno);
  };
  const auto result =
      test::run_in_child(forbidden, {.forbidden_syscalls = {SYS_getppid}, .forbidden_errno = ENOSYS});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "-1 " + std::to_string(ENOSYS));
}

TEST_CASE("a program is fed, and one that does not exist says so", "[support]") {
  CHECK(test::run_program({"cat"}, {.input = "fed"}).out == "fed");
  CHECK(test::run_program({"zsync-no-such-program"}).exit_code == 127);
}

TEST_CASE("a program in the background is heard, signalled and awaited", "[support]") {
  test::background_program program({"sh", "-c", "echo ready; sleep 30"});
  CHECK_NOTHROW(program.wait_for("ready"));
  CHECK_THROWS(program.wait_for("never", std::chrono::milliseconds{20}));
  program.send_signal(SIGTERM);
  CHECK(program.finish().signal == SIGTERM);
}
