// What a simulated worker sleeps in: a selector for the engine that asks what is ready, and an engine that
// completes operations as a ring would. Both tell late, and in any order. Not a public header.
#pragma once

#include <zsync/io/sim/world.hpp>

#include <chrono>
#include <memory>

namespace zsync::detail::simulated {

constexpr auto latest = std::chrono::microseconds{5};  // what the kernel knows it tells after at most that

struct made_poller {
  std::unique_ptr<poller> io;
  event_source* events;
};

made_poller make_readiness(world& in);
made_poller make_completion(world& in);

}  // namespace zsync::detail::simulated
