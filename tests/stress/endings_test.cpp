// Programs that end in the midst of things: a runtime destroyed at any step, a fiber that nobody joins and
// that throws, a process that runs out of memory for stacks.
#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

struct counted {
  explicit counted(std::atomic<int>& alive) : alive_(&alive) { ++*alive_; }
  ~counted() { --*alive_; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;

 private:
  std::atomic<int>* alive_;
};

// Always at it: echo over a connection, a pipeline, a lock, sleeps, children of children.
void busy_program(std::atomic<int>& alive, std::atomic<int>& steps) {
  const counted self(alive);
  auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"));
  auto [tx, rx] = zsync::channel<int>(1);
  zsync::mutex lock;
  zsync::task_group group;
  group.spawn([&] {
    const counted server(alive);
    for (;;) {
      auto peer = listener.accept();
      std::array<std::byte, 64> buffer{};
      while (const std::size_t size = peer.read(buffer))
        peer.write_all(std::span<const std::byte>(buffer.data(), size));
    }
  });
  group.spawn([&] {
    const counted client(alive);
    for (;;) {
      auto stream = zsync::tcp_stream::connect(listener.local_address());
      std::array<std::byte, 64> buffer{};
      for (int i = 0; i < 5; ++i) {
        stream.write_all("ping");
        stream.read_exact(std::span(buffer.data(), 4));
        ++steps;
      }
    }
  });
  group.spawn([&, &out = tx] {
    const counted producer(alive);
    for (int i = 0; out.send(i); ++i) {
      const std::unique_lock guard(lock);
      zsync::this_fiber::yield();
      // With a consumer that is always in time nothing here ever waits, and neither locks nor yields are such
      // points.
      zsync::this_fiber::cancellation_point();
    }
  });
  group.spawn([&, &in = rx] {
    const counted consumer(alive);
    while (in.recv()) {
      const std::unique_lock guard(lock);
      ++steps;
    }
  });
  group.spawn([&] {
    for (;;) {
      zsync::fiber<> child([&] {
        const counted grandchild(alive);
        zsync::this_fiber::sleep_for(30us);
      });
      child.join_for(20us);
    }
  });
  group.wait();
}

}  // namespace

TEST_CASE("a runtime that is destroyed at any step unwinds every fiber", "[stress]") {
  test::matrix({.policies = true}, [](const zsync::runtime_options& options) {
    std::atomic<int> alive{0};
    for (int wanted = 0; wanted < 60; ++wanted) {
      std::atomic<int> steps{0};
      {
        zsync::runtime own(options);
        own.post([&] {
          try {
            busy_program(alive, steps);
          } catch (const zsync::cancelled&) {
          } catch (const std::system_error&) {
            // One end of the connection was unwound before the other, which failed before its cancellation
            // came.
          }
        });
        // The first at once, the later ones deep within.
        for (int i = 0; i < 10'000 && steps < wanted; ++i) std::this_thread::sleep_for(100us);
        CHECK(steps >= wanted);
      }
      CHECK(alive == 0);
    }
  });
}

TEST_CASE("what leaves a detached fiber ends the process where it was thrown", "[stress]") {
  const auto result = test::run_in_child([] {
    zsync::run([] {
      zsync::fiber<> alone([] { throw std::runtime_error("nobody hears me"); });
      alone.detach();
      zsync::this_fiber::sleep_for(5s);
    });
  });
  CHECK(result.signal == SIGABRT);
  CHECK(result.err.find("nobody hears me") != std::string::npos);
}

TEST_CASE("without memory for another stack a fiber fails by an error, and the runtime goes on", "[stress]") {
  if (test::sanitized) return;  // their shadow does not fit into the limit
  const auto result = test::run_in_child([] {
    const rlimit limit{1UL << 31, 1UL << 31};  // 2 GiB of address space, so a few thousand stacks
    setrlimit(RLIMIT_AS, &limit);
    zsync::run(
        [] {
          std::vector<zsync::fiber<>> parked;
          int failed = 0;
          for (int i = 0; i < 20'000; ++i) {
            try {
              parked.emplace_back([] { zsync::this_fiber::park(); });
              if (i % 100 == 0) zsync::this_fiber::yield();
            } catch (const std::system_error& e) {
              if (e.code() != std::errc::not_enough_memory) throw;
              ++failed;
            }
          }
          zsync::this_fiber::yield();
          // Those that were spawned but found no stack end with the error; the others park and can be
          // cancelled.
          int ended = 0;
          for (auto& one : parked) {
            one.cancel();
            try {
              one.join();
            } catch (const std::system_error& e) {
              if (e.code() != std::errc::not_enough_memory) throw;
              ++failed;
            } catch (const zsync::cancelled&) {
              ++ended;
            }
          }
          std::printf("%d %d ", failed > 0 ? 1 : 0, ended > 1000 ? 1 : 0);
          // With stacks free again, everything is as before.
          zsync::fiber<int> again([] { return 7; });
          std::printf("%d", again.join());
        },
        {.workers = 1});
  });
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(result.out == "1 1 7");
}
