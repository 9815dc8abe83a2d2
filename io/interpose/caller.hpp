// Who calls a replaced function: a fiber, for which others can run meanwhile, or anybody else.
#pragma once

#include <zsync/io/errno_here.hpp>

#include <poll.h>

namespace zsync::interpose {

// There is zsync in this program.
bool active() noexcept;

// This is the child of a fork, whose copy of a runtime is nobody's.
bool in_forked_child() noexcept;

// A fiber, on its own stack. Not: a plain thread, the scheduler's own work, a signal handler with a stack of
// its own, the child of a fork, a program without zsync.
bool on_fiber() noexcept;

// As libc's, a call that succeeds leaves errno alone, although it may have been refused before.
template <class F>
auto keeping_errno(F call) {
  const int error = errno;
  const auto result = call();
  if (result != decltype(result)(-1)) errno = error;
  return result;
}

// ---- what goes wrong with pthread mutexes that are held while others run ----

// One lives while a fiber waits in a replaced call; before that it looks whether the fiber holds a
// pthread mutex. If so, a call that does not wait gives others no turn. In one that does, another fiber of
// its worker that wants the same mutex blocks the thread, and with it the one that could release it: the end
// of the program in a debug build, otherwise said once. ZSYNC_INTERPOSE_LOCKS=abort, say or ignore in the
// environment decides otherwise.
class wait_ahead {
 public:
  // The call waits for certain, or for certain does not.
  explicit wait_ahead(const char* call, bool waits = true) noexcept;
  // Waits unless the descriptor is ready or non-blocking, or the flags have MSG_DONTWAIT.
  wait_ahead(const char* call, int fd, short events, int flags = 0) noexcept;
  // Waits unless one of the set is ready.
  wait_ahead(const char* call, pollfd* set, nfds_t count) noexcept;
  ~wait_ahead();
  wait_ahead(const wait_ahead&) = delete;
  wait_ahead& operator=(const wait_ahead&) = delete;

 private:
  unsigned held_;
};

// How many the calling fiber holds.
unsigned mutexes_held() noexcept;

// A call that ends by itself, as those on files and look-ups of names do, is libc's off a fiber, and on one
// that holds a mutex: there it takes the worker's time, as it would a thread's, rather than give a turn to
// others who may want the mutex.
inline bool ends_on_worker() noexcept { return !on_fiber() || mutexes_held() != 0; }

}  // namespace zsync::interpose

// The definition of a function that replaces libc's.
#define ZSYNC_REPLACES extern "C" [[gnu::visibility("default")]]
