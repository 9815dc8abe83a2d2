// The bare switch of Boost.Context. What else a switch has to carry (exception state, errno, what the
// memory checkers want) is the worker's business: see switch_to() in sched/worker.cpp.
#pragma once

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

inline transfer jump(void* to, void* data) noexcept {
  return boost::context::detail::jump_fcontext(to, data);
}

}  // namespace zsync::detail
