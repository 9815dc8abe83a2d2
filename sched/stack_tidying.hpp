// When stacks that nobody needs give their memory back. Not a public header.
#pragma once

#include <zsync/fiber/stack.hpp>
#include <zsync/timer/clock.hpp>
#include <zsync/timer/deadline.hpp>

#include <atomic>

namespace zsync::detail {

//   at rest --> observing, for a second --> returning, a few at a time --> at rest
//
// Done by workers that have nothing else to do, so a busy runtime keeps what it has, and one that is idle for
// good wakes up once more after a burst. What was needed within the second stays, as do a few of each size.
class stack_tidying {
 public:
  explicit stack_tidying(stack_pool& pool) noexcept : pool_(pool) {}

  // A worker is about to sleep. True: some memory was returned, and it had better look for work and come
  // again. False: it may sleep, but no longer than `until`, which may be tightened here.
  bool before_sleep(clock::time_point now, deadline& until) noexcept {
    return (pool_.holding() > tolerated || pool_.excess() != 0) && step(now, until);
  }

 private:
  static constexpr std::size_t tolerated = 512;  // free stacks, of all sizes, if trimmed: a few megabytes
  static constexpr std::size_t at_once = 16;
  static constexpr std::chrono::seconds period{1};

  [[gnu::noinline]] bool step(clock::time_point now, deadline& until) noexcept;

  stack_pool& pool_;
  std::atomic<clock::rep> returning_from_{0};  // 0: at rest
};

}  // namespace zsync::detail
