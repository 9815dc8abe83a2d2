// The orders that the runtime promises, said to a ThreadSanitizer that looks for races between fibers; see
// sanitizer.hpp. Empty in every other build.
//
//   spawn, before the first step of the fiber        the end of a fiber, before its join
//   a wake, before the wait that it ends             cancel(), before what it cancels
//
// A switch, a yield and a timer that expires are no orders. Locks and channels need nothing here: they are
// instrumented, so their atomics tell. What shares no lock that is seen, says it by an address.
#pragma once

#include <zsync/fiber/sanitizer.hpp>

#if defined(ZSYNC_SANITIZE_FIBER)
extern "C" {
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#endif

namespace zsync::detail::checker {

// What the caller has done so far comes before whatever follows an acquire() of the same address.
inline void release([[maybe_unused]] const void* address) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  __tsan_release(const_cast<void*>(address));
#endif
}
inline void acquire([[maybe_unused]] const void* address) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  __tsan_acquire(const_cast<void*>(address));
#endif
}

// While one lives, what its fiber or thread touches is not looked at: memory of the runtime's that one fiber
// allocates and another one frees, and what an order within the runtime guards that nobody said.
class unseen {
 public:
#if defined(ZSYNC_SANITIZE_FIBER)
  unseen() noexcept { __tsan_ignore_thread_begin(); }
  ~unseen() { __tsan_ignore_thread_end(); }
#else
  unseen() noexcept {}
  ~unseen() {}
#endif
  unseen(const unseen&) = delete;
  unseen& operator=(const unseen&) = delete;
};

}  // namespace zsync::detail::checker
