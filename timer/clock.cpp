#include <zsync/timer/clock.hpp>

#include <time.h>

#include <utility>

namespace zsync {
namespace {

thread_local constinit detail::time_source* source = nullptr;

}  // namespace

clock::time_point clock::now() noexcept {
  if (source != nullptr) [[unlikely]]
    return source->now();
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return time_point{std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

detail::time_source* detail::set_time_source(time_source* replacement) noexcept {
  return std::exchange(source, replacement);
}

}  // namespace zsync
