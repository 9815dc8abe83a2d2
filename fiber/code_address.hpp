// Where in the program something was asked for: dumps and reports name fibers by the code that spawned them.
#pragma once

namespace zsync::detail {

// An address within the function that this, and all between them, is inlined into: so whoever passes the
// caller's place on has to be always_inline as well. A return address would do only as long as nothing is.
[[gnu::always_inline]] inline const void* code_address() noexcept {
  const void* here = nullptr;
#if defined(__x86_64__)
  asm volatile("lea 0(%%rip), %0" : "=r"(here));
#elif defined(__aarch64__)
  asm volatile("adr %0, ." : "=r"(here));
#else
  here = __builtin_return_address(0);
#endif
  return here;
}

}  // namespace zsync::detail
