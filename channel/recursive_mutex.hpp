// Mutexes that their owner may lock again, as std::recursive_mutex and std::recursive_timed_mutex.
#pragma once

#include <zsync/channel/lock_word.hpp>

#include <chrono>
#include <cstdint>

namespace zsync {

// As timed_mutex, and held until as many unlocks as locks. The owner is a fiber, not its thread.
class recursive_timed_mutex {
 public:
  constexpr recursive_timed_mutex() noexcept = default;

  void lock() { lock_until(deadline::never()); }
  [[nodiscard]] bool try_lock() noexcept {
    const auto me = detail::current_owner();
    if (again(me)) return true;
    return word_.try_lock(me) && first();
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> at_most) {
    return try_lock() || try_lock_until(deadline::after(at_most));
  }
  [[nodiscard]] bool try_lock_until(deadline until) { return lock_until(until); }

  void unlock() noexcept {
    const auto me = detail::current_owner();
    if (!word_.is_held_by(me)) [[unlikely]] {
      detail::misuse("a recursive mutex is unlocked by somebody who does not hold it");
    }
    if (--depth_ == 0) word_.unlock(me);
  }

 private:
  bool again(detail::owner_id me) noexcept {
    if (!word_.is_held_by(me)) return false;
    ++depth_;
    return true;
  }
  bool first() noexcept {
    depth_ = 1;
    return true;
  }
  bool lock_until(deadline until) {
    const auto me = detail::current_owner();
    return again(me) || (word_.lock(me, until) && first());
  }

  detail::lock_word word_;
  std::uint64_t depth_ = 0;  // the owner
};

// The same without the timed calls.
class recursive_mutex {
 public:
  constexpr recursive_mutex() noexcept = default;

  void lock() { mutex_.lock(); }
  [[nodiscard]] bool try_lock() noexcept { return mutex_.try_lock(); }
  void unlock() noexcept { mutex_.unlock(); }

 private:
  recursive_timed_mutex mutex_;
};

}  // namespace zsync
