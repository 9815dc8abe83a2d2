#include <zsync/fiber/sanitizer.hpp>

#if defined(ZSYNC_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(ZSYNC_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(ZSYNC_ASAN) || defined(ZSYNC_TSAN)

namespace zsync::detail::checker {

void begin([[maybe_unused]] checker_state& fiber, [[maybe_unused]] void* bottom,
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

void begin_thread([[maybe_unused]] checker_state& root) noexcept {
#if defined(ZSYNC_TSAN)
  root.thread = __tsan_get_current_fiber();
#endif
}

void leave([[maybe_unused]] checker_state& from, [[maybe_unused]] checker_state& to,
           [[maybe_unused]] bool for_good) noexcept {
#if defined(ZSYNC_ASAN)
  __sanitizer_start_switch_fiber(for_good ? nullptr : &from.fake_stack, to.bottom, to.size);
#endif
#if defined(ZSYNC_TSAN)
  __tsan_switch_to_fiber(to.thread, 0);
#endif
}

void arrive([[maybe_unused]] checker_state& from, [[maybe_unused]] checker_state& to) noexcept {
#if defined(ZSYNC_ASAN)
  // A thread's own stack has bounds that only the checker knows: it tells them when that stack is left.
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(to.fake_stack, &bottom, &size);
  from.bottom = bottom;
  from.size = size;
#endif
}

void end([[maybe_unused]] checker_state& fiber) noexcept {
#if defined(ZSYNC_TSAN)
  __tsan_destroy_fiber(fiber.thread);
  fiber.thread = nullptr;
#endif
}

}  // namespace zsync::detail::checker

#endif
