// Writes that cannot be told not to raise SIGPIPE.
#pragma once

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace zsync::detail {

// Takes back a SIGPIPE that is pending for the calling thread.
inline void take_sigpipe(const sigset_t& pipe_only) noexcept {
#if defined(__linux__)
  const timespec now{};
  while (::sigtimedwait(&pipe_only, nullptr, &now) < 0 && errno == EINTR) continue;
#else
  sigset_t pending;
  sigpending(&pending);
  int taken = 0;
  if (sigismember(&pending, SIGPIPE) == 1) ::sigwait(&pipe_only, &taken);
#endif
}

// Calls f, a write that returns -1 and sets errno, so that no SIGPIPE reaches the program. The signal that a
// write causes is its thread's alone, so it can be blocked there and taken back.
template <class F>
std::int64_t without_sigpipe(F f) noexcept {
  sigset_t pipe_only;
  sigset_t before;
  sigset_t pending;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  ::pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
  const std::int64_t n = f();
  const int error = errno;
  if (!was_pending) take_sigpipe(pipe_only);  // also after success: sendfile(2) may have met it midway
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return n;
}

}  // namespace zsync::detail
