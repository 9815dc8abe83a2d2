#include <zsync/sched/call_after.hpp>
#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>

namespace test = zsync::test;
using Catch::Contains;
using namespace std::chrono_literals;

namespace {

constexpr const char* refusal = "may only exec or _exit";

// The raw status of a forked child that runs `body` and then ends.
int fork_and_run(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) continue;
  return status;
}

bool aborted(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }

void expect(bool truth) {
  if (!truth) ::_exit(1);
}

// Forks in a fiber while the other workers have something to do.
test::child_result forks_in_a_fiber(const zsync::runtime_options& options,
                                    const std::function<void()>& in_child, bool refused) {
  return test::run_in_child([&] {
    zsync::runtime own(options);
    std::atomic<bool> enough = false;
    own.post([&] {
      while (!enough) zsync::this_fiber::sleep_for(10us);
    });
    const int status = own.block_on([&] {
      zsync::this_fiber::sleep_for(1ms);
      return fork_and_run(in_child);
    });
    enough = true;
    expect(refused ? aborted(status) : status == 0);
    own.block_on([] { zsync::this_fiber::sleep_for(1ms); });  // the parent has not changed
  });
}

}  // namespace

TEST_CASE("in a forked child whatever needs the runtime ends it with a clear message", "[fork]") {
  const std::function<void()> calls[] = {
      [] { zsync::this_fiber::yield(); },
      [] { zsync::this_fiber::sleep_for(1ms); },
      [] { zsync::this_fiber::park(); },
      [] { zsync::spawn([] {}).detach(); },
      [] { zsync::run([] {}); },
      [] { zsync::loop own; },
      [] { zsync::call_after(1ms, [] {}).detach(); },
  };
  test::matrix({.backends = false, .policies = true}, [&](const zsync::runtime_options& options) {
    for (const auto& call : calls) {
      const auto result = forks_in_a_fiber(options, call, true);
      CHECK(result.exit_code == 0);
      CHECK_THAT(result.err, Contains(refusal));
    }
  });
}

TEST_CASE("a forked child may exec and _exit", "[fork]") {
  test::matrix({.backends = false, .policies = true}, [&](const zsync::runtime_options& options) {
    const auto exits = forks_in_a_fiber(
        options, [] { ::_exit(0); }, false);
    CHECK(exits.exit_code == 0);
    CHECK(exits.err.empty());
    const auto execs = forks_in_a_fiber(
        options, [] { ::execl("/bin/sh", "sh", "-c", "exit 0", nullptr), ::_exit(1); }, false);
    CHECK(execs.exit_code == 0);
    CHECK(execs.err.empty());
  });
}

TEST_CASE("a plain thread's forked child is refused as well, and does not hang at its end", "[fork]") {
  const auto result = test::run_in_child([] {
    zsync::runtime own({.workers = 2});
    zsync::loop driven;
    expect(aborted(fork_and_run([&] { own.block_on([] {}); })));
    expect(aborted(fork_and_run([&] { own.post([] {}); })));
    expect(aborted(fork_and_run([&] { driven.poll(); })));
    expect(aborted(fork_and_run([&] { std::ignore = own.shutdown(1s); })));
    expect(aborted(fork_and_run([&] { own.~runtime(); })));
    own.block_on([] { zsync::this_fiber::yield(); });
  });
  CHECK(result.exit_code == 0);
  CHECK_THAT(result.err, Contains(refusal));
}

TEST_CASE("a child that is forked while no runtime lives may have one", "[fork]") {
  zsync::run([] {});
  const auto result = test::run_in_child([] { zsync::run([] { zsync::this_fiber::yield(); }); });
  CHECK(result.exit_code == 0);
  CHECK(result.err.empty());
}
