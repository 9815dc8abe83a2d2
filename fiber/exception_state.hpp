// The C++ exceptions that a fiber is handling: they belong to the fiber, while the ABI keeps them by thread.
#pragma once

#include <cxxabi.h>

#include <cstddef>

#if defined(_LIBCPP_VERSION)
// Exported by libc++abi, and not declared in its header.
namespace __cxxabiv1 {
struct __cxa_eh_globals;
extern "C" __cxa_eh_globals* __cxa_get_globals();
}  // namespace __cxxabiv1
#endif

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
