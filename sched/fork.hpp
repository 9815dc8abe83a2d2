// What a forked child may do: exec or _exit. Its copy of a runtime has no threads. Not a public header.
#pragma once

#include <atomic>

namespace zsync::detail {

extern std::atomic<bool> forked_from_a_runtime;

[[noreturn]] void refuse_in_child() noexcept;

// The child of a fork that has called no handlers, as of _Fork().
void note_forked() noexcept;

// Where the library is entered from outside, and where a fiber is picked once in a while. The child of a fork
// has the next pick look here, so that the hot path has no look of its own.
inline void check_not_forked() noexcept {
  if (forked_from_a_runtime.load(std::memory_order_relaxed)) [[unlikely]]
    refuse_in_child();
}

// A process that has one, of any runtime, is not to be used after a fork. Throws std::system_error.
class fork_watch {
 public:
  fork_watch();
  ~fork_watch();
  fork_watch(const fork_watch&) = delete;
  fork_watch& operator=(const fork_watch&) = delete;
};

}  // namespace zsync::detail
