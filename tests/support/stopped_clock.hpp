// Time that passes when a test says so.
#pragma once

#include <zsync/timer/clock.hpp>

namespace zsync::test {

// While it lives, the calling thread's time is this. A real processor may be taken away at any time, and then
// nobody keeps a budget, and what was soon is over.
class stopped_clock final : public zsync::detail::time_source {
 public:
  explicit stopped_clock(clock::time_point when = clock::now())
      : at(when), before_(zsync::detail::set_time_source(this)) {}
  ~stopped_clock() { zsync::detail::set_time_source(before_); }
  stopped_clock(const stopped_clock&) = delete;
  stopped_clock& operator=(const stopped_clock&) = delete;

  clock::time_point now() noexcept override { return at; }
  void advance(clock::duration by) noexcept { at += by; }

  clock::time_point at;

 private:
  zsync::detail::time_source* before_;
};

}  // namespace zsync::test
