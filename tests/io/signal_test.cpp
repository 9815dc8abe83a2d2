#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

using namespace std::chrono_literals;
using zsync::test::matrix;

TEST_CASE("a fiber waits for signals, and gets each set its own", "[signal]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          zsync::signal_set both{SIGUSR1, SIGUSR2};
          zsync::signal_set one{SIGUSR1};
          zsync::fiber waiting([&] { return both.next(); });
          zsync::this_fiber::sleep_for(2ms);
          ::kill(::getpid(), SIGUSR2);
          REQUIRE(waiting.join() == SIGUSR2);
          ::kill(::getpid(), SIGUSR1);
          REQUIRE(both.next() == SIGUSR1);
          REQUIRE(one.next() == SIGUSR1);
          const zsync::deadline_scope scope(5ms);
          std::error_code ec;
          REQUIRE(one.next(ec) == 0);
          REQUIRE(ec == std::errc::timed_out);
        },
        options);
  });
}

TEST_CASE("after the last set the signal does again what it did before", "[signal]") {
  std::signal(SIGUSR1, SIG_IGN);
  { zsync::signal_set one{SIGUSR1}; }
  ::kill(::getpid(), SIGUSR1);
  REQUIRE(std::signal(SIGUSR1, SIG_DFL) == SIG_IGN);
  REQUIRE_THROWS_AS((zsync::signal_set{SIGKILL}), std::system_error);
  REQUIRE_THROWS_AS((zsync::signal_set{0}), std::system_error);
}

TEST_CASE("a signal for a set that is closed or released does no harm", "[signal]") {
  static std::atomic<int> broken_pipes{0};
  broken_pipes = 0;
  const auto before = std::signal(SIGPIPE, [](int) { ++broken_pipes; });
  {
    zsync::signal_set one{SIGUSR1};
    one.close();
    ::kill(::getpid(), SIGUSR1);
    zsync::signal_set two{SIGUSR1};
    ::close(two.release());
    ::kill(::getpid(), SIGUSR1);
    zsync::signal_set three{SIGUSR1};
    three = zsync::signal_set{SIGUSR1};
    ::kill(::getpid(), SIGUSR1);
    REQUIRE(three.next() == SIGUSR1);
  }
  std::signal(SIGPIPE, before);
  REQUIRE(broken_pipes == 0);
}

TEST_CASE("a signal's handler runs on the stack for signals, not on a fiber's", "[signal]") {
  const zsync::signal_set one{SIGUSR1};
  struct sigaction now {};
  REQUIRE(::sigaction(SIGUSR1, nullptr, &now) == 0);
  REQUIRE((now.sa_flags & SA_ONSTACK) != 0);
}

TEST_CASE("a storm of signals interrupts nothing, and deadlines hold", "[signal][serial]") {
  matrix([](const zsync::runtime_options& options) {
    struct sigaction action {};
    struct sigaction before {};
    action.sa_handler = [](int) {};  // without SA_RESTART
    ::sigaction(SIGUSR2, &action, &before);
    std::atomic<bool> stop{false};
    std::thread storm([&] {
      while (!stop) {
        ::kill(::getpid(), SIGUSR2);
        std::this_thread::sleep_for(50us);
      }
    });
    zsync::run(
        [] {
          auto [a, b] = zsync::test::connect_pair();
          zsync::fiber echo([&, &b = b] {
            std::array<char, 64> buffer{};
            while (const std::size_t n = b.read(buffer)) b.write_all({buffer.data(), n});
          });
          std::array<char, 64> buffer{};
          for (int i = 0; i < 2000; ++i) {
            a.write_all(buffer);
            a.read_exact(buffer);
          }
          const auto begin = zsync::clock::now();
          std::error_code ec;
          a.set_read_timeout(50ms);
          a.read(buffer, ec);
          REQUIRE(ec == std::errc::timed_out);
          const auto took = zsync::clock::now() - begin;
          REQUIRE(took >= 50ms);
          REQUIRE(took < 10s);
          a.close();
          echo.join();
        },
        options);
    stop = true;
    storm.join();
    ::sigaction(SIGUSR2, &before, nullptr);
  });
}
