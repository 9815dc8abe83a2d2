// The body of a test, in a fiber of a runtime that lives for it.
#pragma once

#include "support/matrix.hpp"

#include <zsync/sched/runtime.hpp>

#include <chrono>
#include <thread>
#include <utility>

namespace zsync::test {

// How many fibers the runtime still has once those that are about to end have had a second to do so.
inline std::uint64_t fibers_left(const runtime& of) {
  for (int i = 0; i < 1000 && of.stats().fibers_alive > 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
  return of.stats().fibers_alive;
}

// Over the matrix: body() runs in a fiber. It must leave no other fiber behind, and no descriptor.
template <class F>
void in_fiber(axes vary, F body) {
  matrix(vary, [&](const runtime_options& options) {
    runtime own(options);
    own.block_on([&] { body(); });
    CHECK(fibers_left(own) == 0);
  });
}

template <class F>
void in_fiber(F body) {
  in_fiber(axes{}, std::move(body));
}

}  // namespace zsync::test
