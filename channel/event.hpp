// A flag that fibers and threads can wait for.
#pragma once

#include <zsync/channel/queue_wait.hpp>

#include <chrono>
#include <cstdint>

namespace zsync {

namespace detail {
template <class F>
class event_case;
}

// With manual reset, set() lets all waiters through, and all later ones until reset(). With automatic reset,
// set() lets one through, the longest waiting, or else the next to come; setting it twice before anybody has
// come counts once. Any fiber or thread may call any of its functions. Waiting is a cancellation point. An
// event may be destroyed once every wait has returned, even if the call that ended them has not.
class event {
 public:
  enum reset_mode : std::uint8_t { manual_reset, auto_reset };

  constexpr explicit event(reset_mode mode = manual_reset, bool set = false) noexcept
      : mode_(mode), set_(set) {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event();

  void set() noexcept;
  void reset() noexcept;
  [[nodiscard]] bool is_set() const noexcept;  // does not reset it, whatever the mode

  bool try_wait() noexcept;
  void wait() { wait_until(deadline::never()); }

  // False: the time has passed.
  bool wait_until(deadline until);
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> at_most) {
    return try_wait() || wait_until(deadline::after(at_most));
  }

 private:
  template <class F>
  friend class detail::event_case;

  bool take() noexcept;
  bool enlist(detail::waiter& me) noexcept;  // false: it is set
  void withdraw(detail::waiter& me) noexcept;

  mutable detail::spinlock lock_;
  const reset_mode mode_;
  bool set_;                    // lock_
  detail::wait_queue waiters_;  // lock_; if anybody waits, it is not set
};

}  // namespace zsync
