// A mutex that can be waited for until a deadline, as std::timed_mutex.
#pragma once

#include <zsync/channel/lock_word.hpp>

#include <chrono>

namespace zsync {

// As mutex. The timed calls return false once the time has passed.
class timed_mutex {
 public:
  constexpr timed_mutex() noexcept = default;

  void lock() { word_.lock(detail::current_owner()); }
  [[nodiscard]] bool try_lock() noexcept { return word_.try_lock(detail::current_owner()); }
  void unlock() noexcept { word_.unlock(detail::current_owner()); }

  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> at_most) {
    return try_lock() || try_lock_until(deadline::after(at_most));
  }
  [[nodiscard]] bool try_lock_until(deadline until) { return word_.lock(detail::current_owner(), until); }

 private:
  detail::lock_word word_;
};

}  // namespace zsync
