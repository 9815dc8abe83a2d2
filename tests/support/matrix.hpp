// Runs a test's body over {1, N} workers x {every backend of this machine}, x scheduling policies on request.
//
//     TEST_CASE("unlock wakes the oldest waiter", "[mutex]") {
//       zsync::test::matrix([](const zsync::runtime_options& options) {
//         zsync::run([] { ... REQUIRE(...); }, options);
//       });
//     }
//
// Each combination is a section of the test, so a failure names it, and one that fails hides no other. After
// each, no descriptor may be open that was not open before.
//
// ZSYNC_TEST_BACKENDS=epoll,io_uring and ZSYNC_TEST_WORKERS=1,4 in the environment narrow the choice.
// ZSYNC_TEST_POLICIES=pinned,work_stealing,migrating replaces it, also for tests that do not ask for
// policies; under the last one every wake moves a fiber to another worker (runtime_options::force_migration).
#pragma once

#include "support/catch.hpp"
#include "support/descriptors.hpp"

#include <zsync/sched/options.hpp>

#include <string>
#include <utility>
#include <vector>

namespace zsync::test {

// Built with a sanitizer: memory and time are then not worth measuring.
inline constexpr bool sanitized = ZSYNC_TESTS_SANITIZED;

// What a test varies.
struct axes {
  bool workers = true;    // one, and several
  bool backends = true;   // each that this machine has; otherwise `automatic`
  bool policies = false;  // pinned and work stealing; otherwise pinned

  // Whatever the environment says: the test reads errno or another thread-local after a wait, which is not
  // for fibers that move, or means the order in which one worker runs its fibers.
  bool pinned_only = false;
};

struct combination {
  runtime_options options;
  std::string name;  // "io_uring, 4 workers, pinned"
};

// Those that this machine can run, by asking each.
std::vector<io_backend> available_backends();

// In a fixed order, the simplest first. Never empty: with a list in the environment that matches nothing
// it throws.
std::vector<combination> combinations(axes vary = {});

// Calls `body(options)` for each combination.
template <class F>
void matrix(axes vary, F body) {
  for (const combination& one : combinations(vary)) {
    DYNAMIC_SECTION(one.name) {
      const descriptor_map before = open_descriptors();
      body(one.options);
#if defined(__linux__)
      if (one.options.backend == io_backend::kqueue) continue;  // libkqueue keeps descriptors of its own
#endif
      CHECK(leaked_descriptors(before, open_descriptors()) == "");
    }
  }
}

template <class F>
void matrix(F body) {
  matrix(axes{}, std::move(body));
}

}  // namespace zsync::test
