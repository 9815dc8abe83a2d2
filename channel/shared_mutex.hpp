// Many readers or one writer, as std::shared_mutex and std::shared_timed_mutex.
#pragma once

#include <zsync/channel/shared_lock_state.hpp>

#include <chrono>

namespace zsync {

// First come, first served, so neither readers nor writers starve. For that reason a fiber that holds it
// shared must not lock it shared once more while a writer may be waiting: it would wait for itself. Threads,
// deadline scopes, cancellation and misuse as with mutex.
class shared_mutex {
 public:
  constexpr shared_mutex() noexcept = default;

  void lock() { state_.lock(deadline::never()); }
  [[nodiscard]] bool try_lock() noexcept { return state_.try_lock(); }
  void unlock() noexcept { state_.unlock(); }

  void lock_shared() { state_.lock_shared(deadline::never()); }
  [[nodiscard]] bool try_lock_shared() noexcept { return state_.try_lock_shared(); }
  void unlock_shared() noexcept { state_.unlock_shared(); }

 private:
  detail::shared_lock_state state_;
};

// As shared_mutex, but for the timed calls, which return false once the time has passed.
class shared_timed_mutex {
 public:
  constexpr shared_timed_mutex() noexcept = default;

  void lock() { state_.lock(deadline::never()); }
  [[nodiscard]] bool try_lock() noexcept { return state_.try_lock(); }
  void unlock() noexcept { state_.unlock(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> at_most) {
    return try_lock() || try_lock_until(deadline::after(at_most));
  }
  [[nodiscard]] bool try_lock_until(deadline until) { return state_.lock(until); }

  void lock_shared() { state_.lock_shared(deadline::never()); }
  [[nodiscard]] bool try_lock_shared() noexcept { return state_.try_lock_shared(); }
  void unlock_shared() noexcept { state_.unlock_shared(); }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(std::chrono::duration<Rep, Period> at_most) {
    return try_lock_shared() || try_lock_shared_until(deadline::after(at_most));
  }
  [[nodiscard]] bool try_lock_shared_until(deadline until) { return state_.lock_shared(until); }

 private:
  detail::shared_lock_state state_;
};

}  // namespace zsync
