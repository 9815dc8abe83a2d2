// Exceptions belong to the fiber, wherever it is switched away, and however it ends.
#include <zsync/sched/fiber.hpp>

#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

constexpr test::axes everything{.policies = true};

struct numbered {
  int number;
};

// Lets others run, and under work stealing perhaps another worker go on with this fiber.
void let_others_run(int i) {
  if (i % 7 == 3) {
    this_fiber::sleep_for(20us);
  } else {
    this_fiber::yield();
  }
}

// Runs `body(number)` in many fibers at once, and returns how many returned false.
int failures_among(int fibers, const std::function<bool(int)>& body) {
  std::vector<zsync::fiber<bool>> all;
  for (int i = 0; i < fibers; ++i) all.push_back(zsync::spawn(std::ref(body), i));
  int failures = 0;
  for (auto& one : all) failures += one.join() ? 0 : 1;
  return failures;
}

}  // namespace

static_assert(std::is_empty_v<zsync::cancelled>);
static_assert(!std::is_base_of_v<std::exception, zsync::cancelled>);

TEST_CASE("a rethrow after a switch rethrows the fiber's own exception", "[exceptions]") {
  test::in_fiber(everything, [] {
    CHECK(failures_among(100, [](int me) {
            try {
              try {
                throw numbered{me};
              } catch (const numbered&) {
                for (int i = 0; i < 10; ++i) let_others_run(me + i);
                throw;
              }
            } catch (const numbered& n) {
              return n.number == me;
            }
          }) == 0);
  });
}

TEST_CASE("current_exception within a handler is the fiber's own after a switch", "[exceptions]") {
  test::in_fiber(everything, [] {
    CHECK(failures_among(100, [](int me) {
            try {
              throw numbered{me};
            } catch (...) {
              for (int i = 0; i < 10; ++i) {
                let_others_run(me + i);
                try {
                  std::rethrow_exception(std::current_exception());
                } catch (const numbered& n) {
                  if (n.number != me) return false;
                }
              }
            }
            return std::current_exception() == nullptr;
          }) == 0);
  });
}

TEST_CASE("handlers nest to any depth, with a switch in each", "[exceptions]") {
  struct nest {
    static bool down(int me, int depth) {
      try {
        throw numbered{me * 100 + depth};
      } catch (const numbered& n) {
        let_others_run(me + depth);
        const bool inner = depth == 0 || down(me, depth - 1);
        let_others_run(me);
        return inner && n.number == me * 100 + depth;
      }
    }
  };
  test::in_fiber(everything,
                 [] { CHECK(failures_among(50, [](int me) { return nest::down(me, 10); }) == 0); });
}

TEST_CASE("unwinding goes on after a switch in a destructor, and counts as the fiber's own", "[exceptions]") {
  struct switching {
    explicit switching(int n, bool& flag) : me(n), good(flag) {}
    ~switching() {
      for (int i = 0; i < 5; ++i) {
        if (std::uncaught_exceptions() != 1) good = false;
        let_others_run(me + i);
        // An exception that is thrown and caught within the destructor disturbs nothing.
        try {
          throw numbered{-me};
        } catch (const numbered& n) {
          let_others_run(me);
          if (n.number != -me) good = false;
        }
      }
    }
    int me;
    bool& good;
  };
  test::in_fiber(everything, [] {
    CHECK(failures_among(100, [](int me) {
            bool good = std::uncaught_exceptions() == 0;
            try {
              const switching outer(me, good);
              const switching inner(me, good);
              throw numbered{me};
            } catch (const numbered& n) {
              return good && n.number == me && std::uncaught_exceptions() == 0;
            }
          }) == 0);
  });
}

TEST_CASE("a newborn starts without exceptions, though its spawner handles one", "[exceptions]") {
  test::in_fiber(everything, [] {
    try {
      throw numbered{1};
    } catch (...) {
      CHECK(zsync::spawn([] { return std::current_exception() == nullptr; }).join());
      CHECK(zsync::spawn([] { return std::uncaught_exceptions() == 0; }).join());
      try {
        throw;
      } catch (const numbered& n) {
        CHECK(n.number == 1);
      }
    }
  });
}

TEST_CASE("a fiber may be spawned, joined and destroyed while its owner unwinds", "[exceptions]") {
  test::in_fiber(everything, [] {
    for (int i = 0; i < 100; ++i) {
      bool parked_ended = false;
      try {
        struct joins_at_end {
          bool& ended;
          ~joins_at_end() {
            const auto parked = zsync::spawn([this] {
              try {
                this_fiber::park();
              } catch (const zsync::cancelled&) {
                ended = true;
              }
            });
            this_fiber::yield();
          }
        } guard{parked_ended};
        throw numbered{i};
      } catch (const numbered& n) {
        CHECK(n.number == i);
      }
      CHECK(parked_ended);
    }
  });
}

TEST_CASE("the same exception may be handled by two fibers at once", "[exceptions]") {
  test::in_fiber(everything, [] {
    const auto shared = std::make_exception_ptr(std::runtime_error("shared"));
    CHECK(failures_among(50, [&](int me) {
            try {
              std::rethrow_exception(shared);
            } catch (const std::runtime_error& e) {
              for (int i = 0; i < 5; ++i) let_others_run(me + i);
              return std::string(e.what()) == "shared";
            }
          }) == 0);
  });
}

TEST_CASE("plain threads that drive a loop keep their own exceptions", "[exceptions]") {
  test::matrix([](const zsync::runtime_options& options) {
    try {
      throw numbered{1};
    } catch (const numbered& mine) {
      zsync::run(
          [] {
            CHECK(std::current_exception() == nullptr);
            try {
              throw numbered{2};
            } catch (const numbered&) {
              this_fiber::sleep_for(1ms);
            }
          },
          options);
      CHECK(mine.number == 1);
      try {
        throw;
      } catch (const numbered& n) {
        CHECK(n.number == 1);
      }
    }
  });
}

namespace {

// What a terminate handler can still see: with a handler at the bottom of the stack it would run after
// unwinding, when the frames that threw are gone.
thread_local int frames_unwound = 0;

struct frame_that_notes {
  ~frame_that_notes() { ++frames_unwound; }
};

[[noreturn]] void tell_and_abort() {
  std::fprintf(stderr, "terminated, %d frames unwound\n", frames_unwound);
  std::abort();
}

[[gnu::noinline]] void throw_from_below() {
  const frame_that_notes frame;
  throw std::runtime_error("nobody asks for it");
}

}  // namespace

TEST_CASE("an exception that leaves a detached fiber terminates where it was thrown", "[exceptions]") {
  const auto terminates_at_throw = [](const std::function<void()>& body) {
    const auto result = test::run_in_child([&] {
      std::set_terminate(&tell_and_abort);
      body();
    });
    CHECK(result.signal == SIGABRT);
    CHECK(result.err.find("terminated, 0 frames unwound") != std::string::npos);
  };
  terminates_at_throw([] {
    zsync::run(
        [] {
          zsync::spawn(&throw_from_below).detach();
          this_fiber::sleep_for(10s);
        },
        {.workers = 1});
  });
  // From a plain thread, to workers that begin at once.
  terminates_at_throw([] {
    zsync::runtime own({.workers = 2});
    own.block_on([] {});
    own.post(&throw_from_below);
    std::this_thread::sleep_for(10s);
  });
}

TEST_CASE("an exception of a fiber that was detached while it ran terminates as well", "[exceptions]") {
  const auto result = test::run_in_child([] {
    zsync::run(
        [] {
          std::atomic<bool> detached{false};
          auto one = zsync::spawn([&] {
            while (!detached) this_fiber::yield();
            throw_from_below();
          });
          this_fiber::yield();
          one.detach();
          detached = true;
          this_fiber::sleep_for(10s);
        },
        {.workers = 1});
  });
  CHECK(result.signal == SIGABRT);
  CHECK(result.err.find("nobody asks for it") != std::string::npos);
}

TEST_CASE("a detached fiber that is cancelled ends quietly", "[exceptions]") {
  test::matrix(everything, [](const zsync::runtime_options& options) {
    std::atomic<int> ended{0};
    {
      zsync::runtime own(options);
      std::atomic<int> parked{0};
      for (int i = 0; i < 10; ++i) {
        own.post([&] {
          struct at_end {
            std::atomic<int>& count;
            ~at_end() { ++count; }
          } mark{ended};
          ++parked;
          this_fiber::park();
        });
      }
      while (parked < 10) std::this_thread::yield();
    }
    CHECK(ended == 10);
  });
}
