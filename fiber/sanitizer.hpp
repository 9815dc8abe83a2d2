// What the memory checkers must be told about stacks that are switched by hand. Empty without them.
//
// ThreadSanitizer is served in two ways. Built with ZSYNC_SANITIZE=thread, each switch is an order: what the
// fibers of one worker do is never reported, and what remains are the races of threads, the runtime's own
// among them. Built with ZSYNC_SANITIZE=fiber, a switch orders nothing, so two fibers of one worker may race
// like threads do. Then the runtime itself is not instrumented, its scheduler runs as *nobody*, whose deeds
// are not looked at, and the orders that it promises are said one by one; see ordering.hpp.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define ZSYNC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZSYNC_ASAN 1
#endif
#endif
#if defined(ZSYNC_SANITIZE_FIBER)
#define ZSYNC_TSAN 2
#elif defined(__SANITIZE_THREAD__)
#define ZSYNC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ZSYNC_TSAN 1
#endif
#endif

#if defined(ZSYNC_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(ZSYNC_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(ZSYNC_VALGRIND)
#include <valgrind/memcheck.h>
#include <cstdint>
#endif

namespace zsync::detail {

// Kept by each control block, in every build, so that its layout does not depend on compiler flags.
struct checker_state {
  void* fake_stack = nullptr;    // AddressSanitizer's, while suspended
  const void* bottom = nullptr;  // of the stack that runs it
  std::size_t size = 0;
  void* thread = nullptr;  // what ThreadSanitizer takes for its thread; Valgrind's number of its stack
};

// Whom ThreadSanitizer takes for the scheduler of one worker, when it looks for races of fibers.
struct checker_nobody {
  void* thread = nullptr;
  // The two orders between a worker's fibers and the thread that drives it; only their addresses count.
  char entered = 0;
  char left = 0;
};

// The order around a jump: leave() on the old stack, jump, arrive() on the new one. All are inlined for good:
// ThreadSanitizer keeps a stack of calls for each fiber, and a function that is entered as one and left as
// another unbalances both.
namespace checker {

#if defined(ZSYNC_ASAN) || defined(ZSYNC_TSAN) || defined(ZSYNC_VALGRIND)
inline constexpr bool active = true;
#else
inline constexpr bool active = false;
#endif

#if defined(ZSYNC_SANITIZE_FIBER)
// sanitizer.cpp
void forget_memory(void* bottom, std::size_t size) noexcept;  // who has touched it
void begin_nobody(checker_nobody& nobody) noexcept;           // on the thread that drives the worker
void end_nobody(checker_nobody& nobody) noexcept;
#endif

// Before a fiber's first switch.
[[gnu::always_inline]] inline void begin([[maybe_unused]] checker_state& fiber, [[maybe_unused]] void* bottom,
                                         [[maybe_unused]] std::size_t size) noexcept {
#if defined(ZSYNC_ASAN)
  fiber.bottom = bottom;
  fiber.size = size;
  // Whoever used the stack before left its red zones on it.
  __asan_unpoison_memory_region(bottom, size);
#endif
#if defined(ZSYNC_TSAN)
  fiber.thread = __tsan_create_fiber(0);
#endif
#if defined(ZSYNC_SANITIZE_FIBER)
  forget_memory(bottom, size);
#endif
#if defined(ZSYNC_VALGRIND)
  // Whoever used the stack before left all but its last frame inaccessible.
  VALGRIND_MAKE_MEM_UNDEFINED(bottom, size);
  fiber.thread = reinterpret_cast<void*>(
      static_cast<std::uintptr_t>(VALGRIND_STACK_REGISTER(bottom, static_cast<char*>(bottom) + size - 1)));
#endif
}

// For a thread's own stack.
[[gnu::always_inline]] inline void begin_thread([[maybe_unused]] checker_state& root,
                                                [[maybe_unused]] checker_nobody& nobody) noexcept {
#if defined(ZSYNC_TSAN)
  root.thread = __tsan_get_current_fiber();
#endif
#if defined(ZSYNC_SANITIZE_FIBER)
  if (nobody.thread == nullptr) begin_nobody(nobody);
  __tsan_release(&nobody.entered);
#endif
}

// The thread drives its worker no more, until it does again. What the fibers did comes before what it does.
[[gnu::always_inline]] inline void end_thread([[maybe_unused]] checker_nobody& nobody) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  __tsan_acquire(&nobody.left);
#endif
}

// The worker is gone.
inline void end([[maybe_unused]] checker_nobody& nobody) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  if (nobody.thread != nullptr) end_nobody(nobody);
#endif
}

// The caller, a fiber or a root, goes into the scheduler, and comes out of it.
[[gnu::always_inline]] inline void step_aside([[maybe_unused]] checker_nobody& nobody) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  __tsan_release(&nobody.left);
  __tsan_switch_to_fiber(nobody.thread, __tsan_switch_to_fiber_no_sync);
#endif
}
[[gnu::always_inline]] inline void step_back([[maybe_unused]] checker_state& fiber,
                                             [[maybe_unused]] checker_nobody& nobody) noexcept {
#if defined(ZSYNC_SANITIZE_FIBER)
  __tsan_switch_to_fiber(fiber.thread, __tsan_switch_to_fiber_no_sync);
  __tsan_acquire(&nobody.entered);
#endif
}

[[gnu::always_inline]] inline void leave([[maybe_unused]] checker_state& from,
                                         [[maybe_unused]] checker_state& to,
                                         [[maybe_unused]] bool for_good) noexcept {
#if defined(ZSYNC_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if defined(ZSYNC_TSAN) && !defined(ZSYNC_SANITIZE_FIBER)
  __tsan_switch_to_fiber(to.thread, 0);
#endif
}

[[gnu::always_inline]] inline void arrive([[maybe_unused]] checker_state& from,
                                          [[maybe_unused]] checker_state& to) noexcept {
#if defined(ZSYNC_ASAN)
  // A thread's own stack has bounds that only the checker knows: it tells them when that stack is left.
  __sanitizer_finish_switch_fiber(to.fake_stack, &from.bottom, &from.size);
#endif
}

// It has left its stack for good.
[[gnu::always_inline]] inline void end([[maybe_unused]] checker_state& fiber) noexcept {
#if defined(ZSYNC_TSAN)
  __tsan_destroy_fiber(fiber.thread);
  fiber.thread = nullptr;
#endif
#if defined(ZSYNC_VALGRIND)
  VALGRIND_STACK_DEREGISTER(reinterpret_cast<std::uintptr_t>(fiber.thread));
#endif
}

}  // namespace checker
}  // namespace zsync::detail
