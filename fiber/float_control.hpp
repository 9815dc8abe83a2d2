// How floating-point arithmetic rounds and traps. A switch keeps it for each fiber; this is for the
// beginning.
#pragma once

#include <cstdint>

namespace zsync::detail {

// Of the calling thread. A fiber begins with its worker's, not with what the code that ran there before has
// left behind.
class float_control {
 public:
  float_control() noexcept : word_(read()) {}

  // Writing costs more than looking, and is hardly ever needed.
  void restore() const noexcept {
    if (read() != word_) [[unlikely]]
      write(word_);
  }

 private:
#if defined(__x86_64__)
  static std::uint64_t read() noexcept {
    std::uint32_t sse = 0;
    std::uint16_t x87 = 0;
    asm volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(sse), "=m"(x87));
    // Without the sticky flags of what has happened so far.
    return (sse & ~std::uint32_t{0x3f}) | std::uint64_t{x87} << 32;
  }
  static void write(std::uint64_t word) noexcept {
    const auto sse = static_cast<std::uint32_t>(word);
    const auto x87 = static_cast<std::uint16_t>(word >> 32);
    asm volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(sse), "m"(x87));
  }
#elif defined(__aarch64__)
  static std::uint64_t read() noexcept {
    std::uint64_t word = 0;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
  }
  static void write(std::uint64_t word) noexcept { asm volatile("msr fpcr, %0" : : "r"(word)); }
#else
  static std::uint64_t read() noexcept { return 0; }
  static void write(std::uint64_t) noexcept {}
#endif

  std::uint64_t word_;
};

}  // namespace zsync::detail
