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

namespace zsync::detail {

// Kept by each control block, in every build, so that its layout does not depend on compiler flags.
struct checker_state {
  void* fake_stack = nullptr;    // AddressSanitizer's, while suspended
  const void* bottom = nullptr;  // of the stack that runs it
  std::size_t size = 0;
  void* thread = nullptr;  // what ThreadSanitizer takes for its thread
};

// The order around a jump: leave() on the old stack, jump, arrive() on the new one.
namespace checker {

void begin(checker_state& fiber, void* bottom, std::size_t size) noexcept;  // before its first switch
void begin_thread(checker_state& root) noexcept;                            // for a thread's own stack
void leave(checker_state& from, checker_state& to, bool for_good) noexcept;
void arrive(checker_state& from, checker_state& to) noexcept;
void end(checker_state& fiber) noexcept;  // it has left its stack for good

#if defined(ZSYNC_ASAN) || defined(ZSYNC_TSAN)
inline constexpr bool active = true;
#else
inline constexpr bool active = false;
inline void begin(checker_state&, void*, std::size_t) noexcept {}
inline void begin_thread(checker_state&) noexcept {}
inline void leave(checker_state&, checker_state&, bool) noexcept {}
inline void arrive(checker_state&, checker_state&) noexcept {}
inline void end(checker_state&) noexcept {}
#endif

}  // namespace checker
}  // namespace zsync::detail
