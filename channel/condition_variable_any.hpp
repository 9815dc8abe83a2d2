// A condition variable for any kind of lock, as std::condition_variable_any.
#pragma once

#include <zsync/channel/condition_variable.hpp>
#include <zsync/sched/scope.hpp>

#include <stop_token>
#include <utility>

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
    return wait_with(lock, until, [] {});
  }
  template <class Lock, class Predicate>
  bool wait_until(Lock& lock, deadline until, Predicate ready) {
    while (!ready()) {
      if (wait_until(lock, until) == cv_status::timeout) return ready();
    }
    return true;
  }

  template <class Lock, class Rep, class Period>
  cv_status wait_for(Lock& lock, std::chrono::duration<Rep, Period> at_most) {
    return wait_until(lock, deadline::after(at_most));
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, std::chrono::duration<Rep, Period> at_most, Predicate ready) {
    return wait_until(lock, deadline::after(at_most), std::move(ready));
  }

  // These end when a stop is requested, too; they return what `ready` says in the end. A stop wakes all
  // waiters of this object, as notify_all() does, also those without a token. It may come at any time, so
  // the object has to live until the wait has returned.
  template <class Lock, class Predicate>
  bool wait(Lock& lock, const std::stop_token& stop, Predicate ready) {
    return wait_until(lock, stop, deadline::never(), std::move(ready));
  }
  template <class Lock, class Predicate>
  bool wait_until(Lock& lock, const std::stop_token& stop, deadline until, Predicate ready) {
    const std::stop_callback wakes(stop, [this]() noexcept { notify_all(); });
    // Standing in the queue already: a stop that came before finds nobody, one that comes later finds us.
    const auto look_again = [&] {
      if (stop.stop_requested()) notify_all();
    };
    while (!stop.stop_requested()) {
      if (ready()) return true;
      if (wait_with(lock, until, look_again) == cv_status::timeout) break;
    }
    return ready();
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, const std::stop_token& stop, std::chrono::duration<Rep, Period> at_most,
                Predicate ready) {
    return wait_until(lock, stop, deadline::after(at_most), std::move(ready));
  }

 private:
  template <class Lock, class Queued>
  cv_status wait_with(Lock& lock, deadline until, Queued queued) {
    return queue_.wait_until(
        until,
        [&] {
          queued();
          lock.unlock();
        },
        [&] {
          const cancellation_shield uncancelled;
          const deadline_shield unhurried;
          lock.lock();
        });
  }

  detail::condition_queue queue_;
};

}  // namespace zsync
