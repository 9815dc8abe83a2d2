// Doing something exactly once, however many ask for it, as std::call_once.
#pragma once

#include <zsync/channel/queue_wait.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace zsync {

//   untouched --begin()--> running --finish(true)--> done
//       ^------------finish(false)--'                        finish(false): the call threw, so the next may
//       try
class once_flag {
 public:
  constexpr once_flag() noexcept = default;
  once_flag(const once_flag&) = delete;
  once_flag& operator=(const once_flag&) = delete;

 private:
  template <class F, class... Args>
  friend void call_once(once_flag& flag, F&& f, Args&&... args);

  enum state : std::uint8_t { untouched, running, done };

  [[nodiscard]] bool is_done() const noexcept { return state_.load(std::memory_order_acquire) == done; }
  bool begin();  // false: somebody else has done it
  void finish(bool success) noexcept;

  std::atomic<state> state_{untouched};  // written under lock_; `done` is stored with release, for is_done()
  detail::spinlock lock_;
  detail::wait_queue waiters_;  // lock_; for the end of the call that runs
};

// Calls f(args...) unless a call with this flag has succeeded before; if one is running, waits for its end.
// If f throws, so does this call, and one of those who wait tries in its place. Waiting is no cancellation
// point, but a deadline scope ends it, with std::system_error(timed_out).
template <class F, class... Args>
void call_once(once_flag& flag, F&& f, Args&&... args) {
  if (flag.is_done()) [[likely]]
    return;
  if (!flag.begin()) return;
  struct closing {
    once_flag& flag;
    bool success = false;
    ~closing() { flag.finish(success); }
  } close{flag};
  std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  close.success = true;
}

}  // namespace zsync
