// The calls of zsync::posix that take a time, with times that libc refuses or that are never over.
#include "support/in_fiber.hpp"

#include <zsync/io/posix.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <limits>
#include <vector>

using namespace std::chrono_literals;
namespace posix = zsync::posix;
namespace test = zsync::test;

namespace {

constexpr time_t longest = std::numeric_limits<time_t>::max();

int sleep_for(timespec t) { return posix::nanosleep(&t, nullptr); }
int select_for(timeval t) { return posix::select(0, nullptr, nullptr, nullptr, &t); }

// What the call leaves in errno; 0 if it succeeds.
int error_of(const std::function<int()>& call) {
  errno = 0;
  return call() < 0 ? errno : 0;
}

}  // namespace

// What a time in seconds becomes in nanoseconds went round, and the call returned at once.
TEST_CASE("posix calls with times that the clock cannot hold last until they are cancelled", "[posix]") {
  test::in_fiber({.pinned_only = true}, [] {
    const std::vector<std::function<int()>> calls{
        [] {
          return sleep_for({longest, 0});
        },
        [] {
          return sleep_for({longest, 999'999'999});
        },
        [] {
          return sleep_for({longest / 1'000'000'000, 999'999'999});
        },
        [] {
          return select_for({longest, 0});
        },
        [] {
          return select_for({longest, 999'999});
        },
        [] {
          return select_for({0, std::numeric_limits<suseconds_t>::max()});
        },
        [] { return posix::poll(nullptr, 0, std::numeric_limits<int>::max()); },
        [] { return posix::poll(nullptr, 0, -1); },
        [] { return posix::poll(nullptr, 0, std::numeric_limits<int>::min()); },
        [] { return posix::usleep(std::numeric_limits<useconds_t>::max()); },
        [] {
          return posix::sleep(std::numeric_limits<unsigned>::max()) > 1'000'000'000 ? (errno = ECANCELED, -1)
                                                                                    : 0;
        },
    };
    std::vector<zsync::fiber<int>> sleepers;
    for (const auto& call : calls) sleepers.push_back(zsync::spawn([&] { return error_of(call); }));
    zsync::this_fiber::sleep_for(2ms);
    for (auto& one : sleepers) {
      CHECK_FALSE(one.join_for(0s));
      one.cancel();
      CHECK(one.join() == ECANCELED);
    }
  });
}

TEST_CASE("a posix sleep that is cancelled tells how much of it was left", "[posix]") {
  test::in_fiber([] {
    for (const time_t seconds : {time_t{100}, longest}) {
      timespec left{};
      zsync::fiber sleeper([&] {
        const timespec t{seconds, 0};
        return posix::nanosleep(&t, &left);
      });
      zsync::this_fiber::sleep_for(1ms);
      sleeper.cancel();
      CHECK(sleeper.join() == -1);
      CHECK(left.tv_sec <= seconds);
      CHECK(left.tv_sec >= seconds - 60);
    }
  });
}

TEST_CASE("posix calls refuse what libc refuses of times", "[posix]") {
  const auto refuses = [] {
    CHECK(error_of([] { return sleep_for({-1, 0}); }) == EINVAL);
    CHECK(error_of([] { return sleep_for({0, -1}); }) == EINVAL);
    CHECK(error_of([] { return sleep_for({0, 1'000'000'000}); }) == EINVAL);
    CHECK(error_of([] { return select_for({-1, 0}); }) == EINVAL);
    CHECK(error_of([] { return select_for({0, -1}); }) == EINVAL);
    CHECK(error_of([] { return posix::select(-1, nullptr, nullptr, nullptr, nullptr); }) == EINVAL);
  };
  test::in_fiber(refuses);
  refuses();  // on a plain thread they are libc's own
}

TEST_CASE("posix calls that are given no time return at once", "[posix]") {
  const auto returns = [] {
    CHECK(sleep_for({0, 0}) == 0);
    CHECK(select_for({0, 0}) == 0);
    CHECK(posix::poll(nullptr, 0, 0) == 0);
    CHECK(posix::usleep(0) == 0);
    CHECK(posix::sleep(0) == 0);
  };
  test::in_fiber(returns);
  returns();
}
