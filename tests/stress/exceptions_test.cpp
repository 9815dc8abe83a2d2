// Exceptions belong to the fiber: what it handles, how many are on their way, and unwinding, also while it
// waits in the midst of them and others do the same.
#include "support/in_fiber.hpp"

#include <zsync/zsync.hpp>

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace test = zsync::test;
using namespace std::chrono_literals;

namespace {

constexpr int fibers_max = 50;

void wait_a_little(int i) {
  if (i % 3 == 0) {
    zsync::this_fiber::sleep_for(std::chrono::microseconds{50 * (i % 7)});
  } else {
    zsync::this_fiber::yield();
  }
}

// Spawns `count` fibers that return how often they were wrong, and adds that up.
template <class F>
int wrong_in(int count, F body) {
  std::vector<zsync::fiber<int>> all;
  for (int i = 0; i < count; ++i) all.emplace_back([i, body] { return body(i); });
  int wrong = 0;
  for (auto& one : all) wrong += one.join();
  return wrong;
}

}  // namespace

TEST_CASE("a rethrow throws what this fiber caught, whatever others caught meanwhile", "[stress]") {
  test::in_fiber({.policies = true}, [] {
    const int wrong = wrong_in(fibers_max, [](int i) {
      int bad = 0;
      for (int round = 0; round < 20; ++round) {
        try {
          try {
            throw std::runtime_error(std::to_string(i));
          } catch (...) {
            wait_a_little(i + round);
            throw;
          }
        } catch (const std::runtime_error& e) {
          wait_a_little(i);
          if (e.what() != std::to_string(i)) ++bad;
        }
      }
      return bad;
    });
    CHECK(wrong == 0);
  });
}

TEST_CASE("handlers nest over waits, and the current exception is the innermost of this fiber", "[stress]") {
  test::in_fiber({.policies = true}, [] {
    const int wrong = wrong_in(fibers_max, [](int i) {
      int bad = 0;
      try {
        throw i;
      } catch (int outer) {
        wait_a_little(i);
        try {
          throw std::to_string(i);
        } catch (const std::string& inner) {
          wait_a_little(i + 1);
          if (inner != std::to_string(i)) ++bad;
        }
        wait_a_little(i + 2);
        try {
          std::rethrow_exception(std::current_exception());
        } catch (int again) {
          if (again != i || outer != i) ++bad;
        }
      }
      if (std::current_exception()) ++bad;
      return bad;
    });
    CHECK(wrong == 0);
  });
}

TEST_CASE("a destructor that waits during unwinding sees the exceptions of its fiber alone", "[stress]") {
  struct waits_on_the_way {
    int index;
    int& bad;
    ~waits_on_the_way() {
      if (std::uncaught_exceptions() != 1) ++bad;
      wait_a_little(index);
      if (std::uncaught_exceptions() != 1) ++bad;
      try {
        throw index;
      } catch (int caught) {
        wait_a_little(index + 1);
        if (caught != index || std::uncaught_exceptions() != 1) ++bad;
      }
    }
  };
  test::in_fiber({.policies = true}, [] {
    const int wrong = wrong_in(fibers_max, [](int i) {
      int bad = 0;
      try {
        const waits_on_the_way guard{i, bad};
        throw std::runtime_error("unwinds");
      } catch (const std::runtime_error&) {
        if (std::uncaught_exceptions() != 0) ++bad;
      }
      return bad;
    });
    CHECK(wrong == 0);
    CHECK(std::uncaught_exceptions() == 0);
  });
}
