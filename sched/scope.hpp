// How long, and whether, the waits within a block may be interrupted.
#pragma once

#include <zsync/sched/wait.hpp>
#include <zsync/timer/deadline.hpp>

#include <chrono>
#include <utility>

namespace zsync {

// Every wait of the calling fiber or thread, while this object lives, ends at its deadline at the latest,
// with std::system_error(error::deadline_expired), which compares equal to std::errc::timed_out. Scopes nest,
// and the tightest wins. A local variable: it must die where it was made, the innermost first. A call that
// fails for a deadline of its own has another code, and expired() tells which of nested scopes it was. Fibers
// that are spawned within are not bound by it, and destructors that wait (of a fiber, a task_group, a future
// of async()) outlast it, as does a call in blocking() that has begun.
class deadline_scope {
 public:
  template <class Rep, class Period>
  [[nodiscard]] explicit deadline_scope(std::chrono::duration<Rep, Period> d)
      : deadline_scope(deadline::after(d)) {}
  [[nodiscard]] explicit deadline_scope(deadline until) noexcept;
  ~deadline_scope();
  deadline_scope(const deadline_scope&) = delete;
  deadline_scope& operator=(const deadline_scope&) = delete;

  [[nodiscard]] bool expired() const noexcept { return own_.has_passed(); }
  [[nodiscard]] deadline until() const noexcept { return own_; }

 private:
  detail::deadline_frame frame_;
  deadline own_;
};

// While one lives, the scopes around it end no wait of the calling fiber or thread; one that begins within it
// does. For what has to be done whether or not there is time left: a lock in a destructor, a farewell. A
// local variable, as a deadline_scope is.
class deadline_shield {
 public:
  [[nodiscard]] deadline_shield() noexcept;
  ~deadline_shield();
  deadline_shield(const deadline_shield&) = delete;
  deadline_shield& operator=(const deadline_shield&) = delete;

 private:
  detail::deadline_frame frame_;  // of a scope that never ends, and that takes none around it into account
};

// While one lives, cancellation of the calling fiber is postponed: waits neither end by it nor throw. Nests.
// A local variable: if it dies in another fiber than it was made in, that ends the program. On a plain
// thread, which nobody cancels, it does nothing.
class cancellation_shield {
 public:
  [[nodiscard]] cancellation_shield() noexcept;
  ~cancellation_shield();
  cancellation_shield(const cancellation_shield&) = delete;
  cancellation_shield& operator=(const cancellation_shield&) = delete;

 private:
  detail::fiber_control* const fiber_;  // nullptr: a plain thread's
};

// Runs f within a deadline_scope that ends after `d`, or at `when`. What the scope throws comes from the wait
// that f was in by then.
template <class Rep, class Period, class F>
auto timeout(std::chrono::duration<Rep, Period> d, F&& f) -> decltype(std::forward<F>(f)()) {
  const deadline_scope scope(d);
  return std::forward<F>(f)();
}
template <class F>
auto timeout(deadline when, F&& f) -> decltype(std::forward<F>(f)()) {
  const deadline_scope scope(when);
  return std::forward<F>(f)();
}

}  // namespace zsync
