// Who called whom on the stack of a fiber.
//
// Of a parked fiber by frame pointers, which the library keeps: of a program that does not, the function that
// waits is seen, and often no more. Of a fiber that a signal has interrupted, by the unwinder.
#pragma once

#include <cstddef>
#include <string>

namespace zsync::detail {

// Where somebody stands: what a switch or a signal has saved.
struct stack_position {
  const void* pc = nullptr;
  const void* frame = nullptr;  // the frame pointer
};

// The position of a fiber that is not running, from its saved context.
stack_position position_of_parked(const void* context) noexcept;

// The position of what a signal has interrupted; `context` is the handler's third argument.
stack_position position_of_interrupted(const void* context) noexcept;

// The caller's position.
inline stack_position position_here() noexcept { return {nullptr, __builtin_frame_address(0)}; }

// The stack pointer of what a signal has interrupted; nullptr where that is not known.
const void* stack_pointer_of_interrupted(const void* context) noexcept;

// Where the choosing of the next fiber begins, on the stack of one that waits with `object` on that stack,
// and that itself chooses (`chooser`: the position of the caller, who is within that).
stack_position position_of_waiting(stack_position chooser, const void* object) noexcept;

// Writes up to `limit` code addresses to `frames`, the innermost first; how many. Reads nothing outside
// [low, high), so what it finds may be cut short, but is never a fault. From a signal handler too.
std::size_t walk_frames(stack_position from, const void* low, const void* high, const void** frames,
                        std::size_t limit) noexcept;

// The frames of what a signal has interrupted, for its handler: `context` is the handler's third argument,
// and the interrupted stack lies in [low, high). Uses the unwinder's tables, which code without frame
// pointers has as well, and walks by frame pointers if they lead nowhere. How many.
std::size_t unwind_interrupted(const void* context, const void* low, const void* high, const void** frames,
                               std::size_t limit) noexcept;

// "function(int)+0x1f (program+0x4a1f)", as far as the dynamic symbols, and those of the program's file,
// tell. Not from a signal handler.
std::string symbol_name(const void* code);

// Text to a descriptor, from a signal handler: no memory, no locks, no locale. Written when it dies.
class signal_safe_text {
 public:
  explicit signal_safe_text(int descriptor) noexcept : descriptor_(descriptor) {}
  ~signal_safe_text() { flush(); }
  signal_safe_text(const signal_safe_text&) = delete;
  signal_safe_text& operator=(const signal_safe_text&) = delete;

  signal_safe_text& operator<<(const char* text) noexcept;
  signal_safe_text& operator<<(unsigned long number) noexcept;
  signal_safe_text& operator<<(const void* address) noexcept;  // as 0x...
  signal_safe_text& code(const void* address) noexcept;        // with its symbol, which stays mangled
  void flush() noexcept;

 private:
  void put(char c) noexcept;

  const int descriptor_;
  std::size_t used_ = 0;
  char buffer_[512];
};

}  // namespace zsync::detail
