// What a fiber does with itself. All but park(), its like and get_waker() works on plain threads too, with a
// thread's meaning.
#pragma once

#include <zsync/sched/fiber.hpp>
#include <zsync/timer/deadline.hpp>

#include <chrono>
#include <string_view>
#include <utility>

namespace zsync {

class waker;

namespace this_fiber {

// Of the calling fiber. Throws std::system_error(operation_not_permitted) on a plain thread.
waker get_waker();

}  // namespace this_fiber

// Wakes one fiber from this_fiber::park(). Copies refer to the same fiber. From any thread, any number of
// times, also after that fiber or its runtime has ended: nothing happens then. An empty one wakes nobody.
class waker {
 public:
  waker() noexcept = default;
  waker(const waker& other) noexcept : fiber_(other.fiber_) {
    if (fiber_ != nullptr) fiber_->retain();
  }
  waker(waker&& other) noexcept : fiber_(std::exchange(other.fiber_, nullptr)) {}
  waker& operator=(waker other) noexcept {
    std::swap(fiber_, other.fiber_);
    return *this;
  }
  ~waker() {
    if (fiber_ != nullptr) fiber_->release();
  }

  // The fiber's park() returns: the one it is in, or else its next.
  void wake() const noexcept;

  // The same, from a signal handler.
  void wake_from_signal() const noexcept;

 private:
  friend waker this_fiber::get_waker();

  explicit waker(detail::fiber_control& of) noexcept : fiber_(&of) { of.retain(); }
  [[nodiscard]] bool claim() const noexcept;  // true: its park() is over, and the fiber must be scheduled

  detail::fiber_control* fiber_ = nullptr;
};

namespace detail {
void sleep_for_nothing();
}

namespace this_fiber {

// Lets the other fibers that are ready on this worker run once, those that have not begun included, as far as
// fairness allows: of more than a dozen newborns some may come later, and where the caller may move
// (scheduling::work_stealing) all but one. Not a cancellation point. A plain thread yields its processor.
void yield();

void cancellation_point();  // throws `cancelled` if requested and not shielded

// Waits until the time has come; never returns early: for a duration or a point that the clock cannot hold,
// or that is not a number, never at all. A cancellation point, also if there is no time to wait; a deadline
// scope that ends sooner, or has ended already, throws std::system_error(error::deadline_expired).
void sleep_until(deadline when);
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> d) {
  if (d <= d.zero()) {
    detail::sleep_for_nothing();
  } else {
    sleep_until(deadline::after(d));
  }
}

// Waits for waker::wake(). A wake that came since the last park() ends it at once, so none is lost; any
// number of them count as one. A cancellation point. Throws std::system_error(operation_not_permitted) on a
// plain thread, which has no waker: zsync::event and binary_semaphore serve both.
void park();

// False: not woken by then.
bool park_until(deadline until);
template <class Rep, class Period>
bool park_for(std::chrono::duration<Rep, Period> d) {
  return park_until(deadline::after(d));
}

fiber_id get_id() noexcept;            // {} on a plain thread
std::string_view name() noexcept;      // valid until it is set anew or the fiber ends; "" if it has none
void set_name(std::string_view name);  // copied; nothing happens on a plain thread
bool inside() noexcept;                // is the caller a fiber?

bool cancellation_requested() noexcept;  // false within a shield

}  // namespace this_fiber
}  // namespace zsync
