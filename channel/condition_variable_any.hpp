// A condition variable for any kind of lock, as std::condition_variable_any.
#pragma once

#include <zsync/channel/condition_variable.hpp>
#include <zsync/channel/undisturbed.hpp>

namespace zsync {

// As condition_variable. The lock's unlock() must not wait for anything, as no lock of this library does.
class condition_variable_any {
 public:
  constexpr condition_variable_any() noexcept = default;

  void notify_one() noexcept { queue_.notify_one(); }
  void notify_all() noexcept { queue_.notify_all(); }

  template <class Lock>
  void wait(Lock& lock) {
    wait_until(lock, deadline::never());
  }
  template <class Lock, class Predicate>
  void wait(Lock& lock, Predicate ready) {
    while (!ready()) wait(lock);
  }

  template <class Lock>
  cv_status wait_until(Lock& lock, deadline until) {
    return queue_.wait_until(
        until, [&] { lock.unlock(); },
        [&] {
          const detail::undisturbed whatever_happens;
          lock.lock();
        });
  }
  template <class Lock, class Predicate>
  bool wait_until(Lock& lock, deadline until, Predicate ready) {
    while (!ready()) {
      if (wait_until(lock, until) == cv_status::timeout) return ready();
    }
    return true;
  }

  template <class Lock, class Clock, class Duration>
  cv_status wait_until(Lock& lock, std::chrono::time_point<Clock, Duration> point) {
    return wait_until(lock, deadline::at(point));
  }
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, std::chrono::time_point<Clock, Duration> point, Predicate ready) {
    return wait_until(lock, deadline::at(point), std::move(ready));
  }
  template <class Lock, class Rep, class Period>
  cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> at_most) {
    return wait_until(lock, deadline::after(at_most));
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> at_most, Predicate ready) {
    return wait_until(lock, deadline::after(at_most), std::move(ready));
  }

 private:
  detail::condition_queue queue_;
};

}  // namespace zsync
