// errno and h_errno for code that runs on fibers. libc tells compilers that the place of errno never changes,
// so they look for it once in a function; a fiber that waits may go on on another thread, and would read and
// write that of the first. To be included after everything else. Not a public header.
#pragma once

#include <netdb.h>

#include <cerrno>

namespace zsync::detail {

[[gnu::noinline]] inline int* errno_here() noexcept {
  __asm__ volatile("" : : : "memory");  // or it would be found out to be always the same
  return &errno;
}

[[gnu::noinline]] inline int* resolver_errno_here() noexcept {
  __asm__ volatile("" : : : "memory");
  return &h_errno;
}

}  // namespace zsync::detail

#undef errno
#define errno (*::zsync::detail::errno_here())
#undef h_errno
#define h_errno (*::zsync::detail::resolver_errno_here())
