// io_uring when its queues are full: what cannot be handed over waits, and nothing is forgotten.
#include "io/connections.hpp"
#include "io/refused_submissions.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/worker.hpp>
#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

bool has_uring() { return std::ranges::count(test::available_backends(), zsync::io_backend::io_uring) != 0; }

const zsync::runtime_options on_uring{.workers = 1, .backend = zsync::io_backend::io_uring};

// Runs it in a process with small rings. What it wrote to stdout; "hangs" after a few seconds.
std::string with_small_rings(const char* entries, const std::function<void()>& body) {
  test::child_options options;
  options.timeout = 8s;
  const test::small_rings small(entries);
  const auto result = test::run_in_child(
      [&] {
        body();
        std::cout << std::flush;
      },
      options);
  INFO(result.err);
  return result.timed_out ? "hangs" : result.out;
}

// In a fiber, where the kernel takes submissions only together with a look for completions, which the worker
// takes now and then.
std::string where_submissions_wait(const char* entries, const std::function<void()>& body) {
  return with_small_rings(entries, [&] {
    test::refuse_submissions();
    zsync::run(body, on_uring);
  });
}

std::error_code read_some(zsync::tcp_stream& from) {
  std::array<char, 8> buffer{};
  std::error_code ec;
  from.read(buffer, ec);
  return ec;
}

}  // namespace

TEST_CASE("cancellations for which the submission queue has no room take effect later", "[uring][cancel]") {
  if (!has_uring()) return;
  CHECK(where_submissions_wait("8", [] {
          std::vector<test::connection> all;
          for (int i = 0; i < 50; ++i) all.push_back(test::connect_pair());
          std::vector<zsync::fiber<std::error_code>> readers;
          for (auto& c : all) readers.push_back(zsync::spawn([&c] { return read_some(c.client); }));
          this_fiber::sleep_for(10ms);  // all are in the kernel
          for (auto& reader : readers) reader.cancel();
          int cancelled = 0;
          for (auto& reader : readers) cancelled += reader.join() == std::errc::operation_canceled;
          std::cout << cancelled << " cancelled";
        }) == "50 cancelled");
}

// Its number may be somebody else's by the time there is room.
TEST_CASE("a read for which the submission queue has no room ends with its descriptor", "[uring][close]") {
  if (!has_uring()) return;
  CHECK(where_submissions_wait("1", [] {
          int closed = 0;
          int kept = 0;
          for (int round = 0; round < 10; ++round) {
            std::vector<test::connection> all;
            for (int i = 0; i < 2; ++i) all.push_back(test::connect_pair());
            std::vector<zsync::fiber<std::error_code>> readers;
            // The last to ask finds the one place taken.
            for (auto& c : all) {
              readers.push_back(zsync::spawn([&c] { return read_some(c.client); }));
              this_fiber::yield();
            }
            zsync::tcp_stream& last = all.back().client;
            const int number = last.native_handle();
            last.close();
            int ends[2];
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
            if (ends[1] == number) std::swap(ends[0], ends[1]);
            if (ends[0] != number && ::dup2(ends[0], number) != number) std::abort();
            if (::write(ends[1], "theirs", 6) != 6) std::abort();
            // As the worker does before the reader has a turn.
            for (int i = 0; i < 4; ++i) zsync::detail::current_worker()->io().wait(zsync::deadline::passed());
            this_fiber::sleep_for(2ms);
            std::array<char, 8> buffer{};
            kept += ::recv(number, buffer.data(), buffer.size(), MSG_DONTWAIT) == 6;
            closed += readers.back().join() == zsync::error::closed;
            for (auto& reader : readers) reader.cancel();
            ::close(ends[1]);
            ::close(number);
            if (ends[0] != number) ::close(ends[0]);
          }
          std::cout << closed << " closed, " << kept << " kept";
        }) == "10 closed, 10 kept");
}

// The kernel ends what it should report again and again when there is no room for a report. The worker's
// wake-up is one of these.
TEST_CASE("a worker can be woken after more has completed than the completion queue holds", "[uring]") {
  if (!has_uring()) return;
  const auto overflow_and_wake = [] {
    zsync::runtime own(on_uring);
    auto* const worker = own.block_on([] { return zsync::detail::current_worker(); });
    for (int round = 0; round < 20; ++round) {
      std::atomic<bool> held{false};
      std::atomic<bool> release{false};
      auto main_fiber = own.spawn([&] {
        std::vector<test::connection> all;
        for (int i = 0; i < 8; ++i) {
          all.push_back(test::connect_pair());
          all.back().server.write_all("x");
        }
        // Newborns run youngest first, so this one comes after the reads, which complete at once.
        zsync::fiber holder([&] {
          held = true;
          while (!release) std::this_thread::yield();
        });
        std::vector<zsync::fiber<std::error_code>> readers;
        for (auto& c : all) readers.push_back(zsync::spawn([&c] { return read_some(c.client); }));
        for (auto& reader : readers) reader.join();
        holder.join();
      });
      while (!held) std::this_thread::yield();
      worker->wake();
      release = true;
      main_fiber.join();
      std::this_thread::sleep_for(500us);  // it sleeps
      own.block_on([] {});
    }
    std::cout << "woken";
  };
  CHECK(with_small_rings("1", overflow_and_wake) == "woken");
}
