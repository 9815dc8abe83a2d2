// The C++ exceptions that a fiber is handling: they belong to the fiber, while the ABI keeps them by thread.
#pragma once

#include <cxxabi.h>

namespace zsync::detail {

// What __cxa_get_globals() points at, in the Itanium C++ ABI (libstdc++ and libc++abi alike): the stack of
// caught exceptions and the number of uncaught ones. Swapped at each switch: without it a `throw;` in one
// fiber rethrows what another one caught.
struct exception_state {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

// The calling thread's. A worker asks once and keeps it: the address does not change.
inline exception_state* thread_exception_state() noexcept {
  return reinterpret_cast<exception_state*>(abi::__cxa_get_globals());
}

}  // namespace zsync::detail
