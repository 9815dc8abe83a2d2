// What the memory checkers must be told about stacks that are switched by hand. Empty without them.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define ZSYNC_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ZSYNC_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
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

namespace zsync::detail {

// Kept by each control block, in every build, so that its layout does not depend on compiler flags.
struct checker_state {
  void* fake_stack = nullptr;    // AddressSanitizer's, while suspended
  const void* bottom = nullptr;  // of the stack that runs it
  std::size_t size = 0;
  void* thread = nullptr;  // what ThreadSanitizer takes for its thread
};

// The order around a jump: leave() on the old stack, jump, arrive() on the new one. All are inlined for good:
// ThreadSanitizer keeps a stack of calls for each fiber, and a function that is entered as one and left as
// another unbalances both.
namespace checker {

#if defined(ZSYNC_ASAN) || defined(ZSYNC_TSAN)
inline constexpr bool active = true;
#else
inline constexpr bool active = false;
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
}

// For a thread's own stack.
[[gnu::always_inline]] inline void begin_thread([[maybe_unused]] checker_state& root) noexcept {
#if defined(ZSYNC_TSAN)
  root.thread = __tsan_get_current_fiber();
#endif
}

[[gnu::always_inline]] inline void leave([[maybe_unused]] checker_state& from,
                                         [[maybe_unused]] checker_state& to,
                                         [[maybe_unused]] bool for_good) noexcept {
#if defined(ZSYNC_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if defined(ZSYNC_TSAN)
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
}

}  // namespace checker
}  // namespace zsync::detail
