// Waiting until others have changed something, as std::condition_variable.
#pragma once

#include <zsync/channel/mutex.hpp>
#include <zsync/channel/queue_wait.hpp>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace zsync {

using std::cv_status;

namespace detail {

// The queue of a condition variable. A notification goes to a caller that waits at that time, the longest
// waiting first, and never to one that has given up: none is lost, none goes to a later arrival, and no
// wake-up is spurious.
class condition_queue {
 public:
  constexpr condition_queue() noexcept = default;
  condition_queue(const condition_queue&) = delete;
  condition_queue& operator=(const condition_queue&) = delete;
  ~condition_queue();

  void notify_one() noexcept;
  void notify_all() noexcept;

  // Waits. `unlock` releases the caller's lock once no notification can be missed any more, and `relock`
  // takes it back, whatever has ended the wait. Only then are `cancelled`, or system_error(timed_out) for a
  // deadline scope, thrown.
  template <class Unlock, class Relock>
  cv_status wait_until(deadline until, Unlock unlock, Relock relock) {
    wait w(wait_kind::condition, this, wait::cancellable);
    waiter me(w);
    if (!enqueue(w, me)) {  // cancelled: others have a turn, for which the lock must be free
      unlock();
      give_way_to_others();
      relock();
      throw cancelled{};
    }
    try {
      unlock();
    } catch (...) {  // that it was not locked, for one
      give_up(w, me);
      throw;
    }
    const wait_end end = w.suspend(until);
    if (!end.notified()) withdraw(me);
    relock();
    return end.or_throw() ? cv_status::no_timeout : cv_status::timeout;
  }

 private:
  bool enqueue(wait& w, waiter& me) noexcept;
  void withdraw(waiter& me) noexcept;
  void give_up(wait& w, waiter& me) noexcept;

  spinlock lock_;
  wait_queue waiters_;  // lock_
};

}  // namespace detail

// Any fiber or thread may notify, with or without the lock. Waiting is a cancellation point, and obeys
// deadline scopes; the lock is held again however a wait ends, also by an exception. A condition variable may
// be destroyed once all waiters have been notified, even if they have not returned yet.
class condition_variable {
 public:
  constexpr condition_variable() noexcept = default;

  void notify_one() noexcept { queue_.notify_one(); }
  void notify_all() noexcept { queue_.notify_all(); }

  void wait(std::unique_lock<mutex>& lock) { wait_until(lock, deadline::never()); }
  template <class Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate ready) {
    while (!ready()) wait(lock);
  }

  cv_status wait_until(std::unique_lock<mutex>& lock, deadline until);
  template <class Predicate>
  bool wait_until(std::unique_lock<mutex>& lock, deadline until, Predicate ready) {
    while (!ready()) {
      if (wait_until(lock, until) == cv_status::timeout) return ready();
    }
    return true;
  }

  template <class Rep, class Period>
  cv_status wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> at_most) {
    return wait_until(lock, deadline::after(at_most));
  }
  template <class Rep, class Period, class Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> at_most, Predicate ready) {
    return wait_until(lock, deadline::after(at_most), std::move(ready));
  }

 private:
  detail::condition_queue queue_;
};

}  // namespace zsync
