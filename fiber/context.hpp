// The bare switch of Boost.Context. What else a switch has to carry (exception state, errno, what the
// memory checkers want) is the worker's business: see switch_to() in sched/worker_switch.cpp.
#pragma once

#include <zsync/fiber/float_control.hpp>
#include <zsync/fiber/stack.hpp>

#include <boost/context/detail/fcontext.hpp>

namespace zsync::detail {

// What arrives on the other side of a jump: the context that was left, and what it sent along.
using transfer = boost::context::detail::transfer_t;

// A context that will call `entry` at the top of `memory`. `entry` must not return, and what it lets
// escape ends the process at the throw, because no caller can be found below it.
inline void* make_context(const stack& memory, void (*entry)(transfer)) noexcept {
  return boost::context::detail::make_fcontext(memory.top, memory.size(), entry);
}

#if defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__)
// Entered by a jump, with the return address pushed by hand. It never returns to whom it was called by, so a
// call would leave an entry in the processor's prediction of returns that no return takes: from then on
// every one, all the way up the new fiber's stack, would be predicted wrongly.
[[gnu::always_inline]] inline transfer jump(void* to, void* data) noexcept {
  transfer from;
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // leaves alone what the compiler may keep below the stack pointer
      "leaq 1f(%%rip), %%rax\n\t"
      "pushq %%rax\n\t"
      "jmp *jump_fcontext@GOTPCREL(%%rip)\n"
      "1:\n\t"
      "leaq 128(%%rsp), %%rsp"
      : "=a"(from.fctx), "=d"(from.data), "+D"(to), "+S"(data)
      :
      : "rcx", "r8", "r9", "r10", "r11", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
        "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)",
        "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)"
#if defined(__AVX512F__)
        ,
        "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#endif
  );
  return from;
}
#else
// What Boost's switch keeps of the processor has how floating-point arithmetic rounds on some only: here by
// hand.
inline transfer jump(void* to, void* data) noexcept {
  const float_control rounding;
  const transfer from = boost::context::detail::jump_fcontext(to, data);
  rounding.restore();
  return from;
}
#endif

}  // namespace zsync::detail
