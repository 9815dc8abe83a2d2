// Where a test of calls that must not block runs.
#pragma once

#include "support/matrix.hpp"

#include <zsync/sched/runtime.hpp>

namespace zsync::test {

// One worker, so that who blocks it is never woken by another fiber; each backend.
template <class F>
void on_one_worker(F body) {
  zsync::test::matrix({.workers = false}, [&](zsync::runtime_options options) {
    options.workers = 1;
    zsync::run(body, options);
  });
}

}  // namespace zsync::test
