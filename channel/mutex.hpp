// Mutual exclusion between fibers and threads, as std::mutex.
#pragma once

#include <zsync/channel/lock_word.hpp>

namespace zsync {

// Any fiber of any runtime, and any thread, may lock it; only its owner may unlock it, on whatever worker. It
// is given to those that wait in the order of their arrival. lock() is not a cancellation point; a
// deadline_scope around it ends the wait with std::system_error(timed_out). To lock it twice, to unlock it
// without holding it, and to destroy it while it is locked end the program.
class mutex {
 public:
  constexpr mutex() noexcept = default;

  void lock() { word_.lock(detail::current_owner()); }
  [[nodiscard]] bool try_lock() noexcept {
    return word_.try_lock(detail::current_owner());
  }  // never waits, never yields
  void unlock() noexcept { word_.unlock(detail::current_owner()); }

 private:
  friend class condition_variable;

  detail::lock_word word_;
};

}  // namespace zsync
