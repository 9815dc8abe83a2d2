// What happens when memory runs out: the call fails by std::bad_alloc or an error, and nothing is left
// behind.
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/io/connect_race.hpp>
#include <zsync/zsync.hpp>

#include <poll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace {

// Allocations of this thread until one fails; below zero: none does.
thread_local int allocations_left = -1;

bool fails_now() noexcept { return allocations_left >= 0 && allocations_left-- == 0; }

void* allocate(std::size_t size) noexcept {
  return fails_now() ? nullptr : std::malloc(size != 0 ? size : 1);
}

}  // namespace

// Of the whole test program; by default they do what they always do.
void* operator new(std::size_t size) {
  if (void* const memory = allocate(size)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// Calls f with its first, second, third … allocation failing, until it has no more of them. How many it had.
template <class F>
int fail_each_allocation(F f) {
  for (int k = 0;; ++k) {
    allocations_left = k;
    try {
      f();
    } catch (const std::bad_alloc&) {
    } catch (const std::system_error& e) {
      allocations_left = -1;
      REQUIRE(e.code() == std::errc::not_enough_memory);
    }
    const bool failed = allocations_left < 0;
    allocations_left = -1;
    if (!failed) return k;
  }
}

// On one worker, because the allocations that fail are one thread's. The matrix sees to it that no descriptor
// is left.
template <class F>
void in_want_of_memory(const char* what, F f) {
  SECTION(what) {  // of a name of its own, or only the first of a test would run
    zsync::test::matrix({.workers = false}, [&](zsync::runtime_options options) {
      options.workers = 1;
      const int failures = zsync::run([&] { return fail_each_allocation(f); }, options);
      REQUIRE(failures > 0);
    });
  }
}

}  // namespace

TEST_CASE("a signal set that finds no memory leaves nothing behind", "[signal][memory]") {
  in_want_of_memory("a signal set", [] { zsync::signal_set one{SIGUSR1, SIGUSR2}; });
  REQUIRE(std::signal(SIGUSR1, SIG_DFL) == SIG_DFL);
}

TEST_CASE("a pipe, sockets and their connections that find no memory leave nothing behind", "[io][memory]") {
  in_want_of_memory("a pipe", [] { zsync::pipe(); });
  in_want_of_memory("a pair", [] { zsync::unix_stream::pair(); });
  in_want_of_memory("a datagram socket",
                    [] { zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0")); });
  in_want_of_memory("a connection", [] { zsync::test::connect_pair(); });
}

TEST_CASE("a child process that finds no memory is not started, or ended", "[process][memory]") {
  in_want_of_memory("a child process", [] {
    auto child =
        zsync::process::spawn({"cat"}, {.in = zsync::child_stream::pipe, .out = zsync::child_stream::pipe});
  });
}

TEST_CASE("posix calls that find no memory say ENOMEM", "[posix][memory]") {
  in_want_of_memory("posix calls", [] {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
    const zsync::deadline_scope at_most(std::chrono::milliseconds{1});
    const auto fails = [](auto call) {
      int result = 0;
      try {
        errno = 0;
        result = static_cast<int>(call());
      } catch (...) {
        result = 1;
      }
      return result == -1 && (errno == ETIMEDOUT || errno == ENOMEM);
    };
    char byte = 0;
    pollfd set[2] = {{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}};
    fd_set in;
    FD_ZERO(&in);
    FD_SET(ends[0], &in);
    const bool right =
        fails([&] { return zsync::posix::read(ends[0], &byte, 1); }) &&
        fails([&] { return zsync::posix::recv(ends[0], &byte, 1, 0); }) &&
        fails([&] { return zsync::posix::poll(set, 2, -1); }) &&
        fails([&] { return zsync::posix::select(ends[0] + 1, &in, nullptr, nullptr, nullptr); });
    errno = 0;
    bool wrote = false;
    try {
      wrote = zsync::posix::write(ends[0], "x", 1) == 1 || errno == ENOMEM;
    } catch (...) {
    }
    for (const int fd : ends) ::close(fd);
    const int left = std::exchange(allocations_left, -1);
    REQUIRE(right);
    REQUIRE(wrote);
    allocations_left = left;
  });
}

TEST_CASE("a look-up that finds no memory says so, and those after it are answered", "[resolve][memory]") {
  in_want_of_memory("a look-up", [] { zsync::resolve("localhost", "80"); });
}

TEST_CASE("an attempt to connect for which there is no stack has failed", "[tcp][memory]") {
  if (zsync::test::sanitized) return;  // their shadow does not fit into the limit
  const auto result = zsync::test::run_in_child([] {
    const auto gone = zsync::test::listen_anywhere().local_address();  // nobody listens there any more
    const rlimit limit{1UL << 31, 1UL << 31};
    ::setrlimit(RLIMIT_AS, &limit);
    zsync::run(
        [&] {
          // The attempt is what first needs one stack more than there was before.
          std::vector<zsync::fiber<>> parked;
          std::error_code ec;
          for (int i = 0; i < 100; ++i) {
            zsync::detail::connect_first({gone, gone}, ec);
            if (ec == std::errc::not_enough_memory) break;
            parked.emplace_back([] { zsync::this_fiber::park(); });
            zsync::this_fiber::yield();
          }
          std::fputs(ec.message().c_str(), stdout);
        },
        {.workers = 1, .stack_size = 64 << 20});
  });
  INFO(result.err);
  REQUIRE(!result.timed_out);
  REQUIRE(result.out == "Cannot allocate memory");
}
