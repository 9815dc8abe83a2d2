// The mode of a descriptor (O_NONBLOCK) while calls of this library change it for a moment: those that have
// no flag of their own for not waiting. Nobody who goes through here sees such a moment, or loses in it what
// he sets. Others see it only if they ask in that moment.
//
// A holder is not interrupted by signals, and the child of a fork begins with nobody holding, so a signal
// handler or such a child may ask as well. Not a public header.
#pragma once

#include <zsync/io/kernel.hpp>

#include <fcntl.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace zsync::detail {

struct mode_slot {
  std::mutex lock;                   // held by who changes a mode, of the descriptors that share the slot
  std::atomic<unsigned> changes{0};  // odd: one is in force for a moment
};

mode_slot& mode_slot_of(int fd) noexcept;

// In the child of a fork: nobody else is there any more. fork() does so by itself; _Fork() does not.
void forget_mode_holders() noexcept;

// While one lives, nobody changes the mode of that descriptor through here.
class mode_hold {
 public:
  explicit mode_hold(int fd) noexcept;
  ~mode_hold();
  mode_hold(const mode_hold&) = delete;
  mode_hold& operator=(const mode_hold&) = delete;

  // Around a change for a moment.
  void begin() noexcept { slot_.changes.fetch_add(1); }
  void end() noexcept { slot_.changes.fetch_add(1); }

 private:
  sigset_t before_;
  mode_slot& slot_;
};

// What `look`, a call that tells the mode of the descriptor, says when nothing is changed for a moment. As a
// rule without a lock.
template <class F>
int look_at_mode(int fd, F look) noexcept {
  const std::atomic<unsigned>& changes = mode_slot_of(fd).changes;
  const unsigned before = changes.load();
  if (before % 2 == 0) {
    const int mode = look();
    if (changes.load() == before) return mode;
  }
  const mode_hold hold(fd);
  return look();
}

inline bool is_nonblocking(int fd) noexcept {
  const int mode = look_at_mode(fd, [fd] { return kernel::fcntl(fd, F_GETFL); });
  return mode >= 0 && (mode & O_NONBLOCK) != 0;
}

// As is_nonblocking(), of a mode that lasts: another process, which shares the description, may have changed
// it for a moment.
bool stays_nonblocking(int fd) noexcept;

// How many moments there have been or are, of the descriptors that share the slot: who blocks in a call of
// another thread's and is told EAGAIN by it compares.
inline unsigned mode_changes(int fd) noexcept { return mode_slot_of(fd).changes.load(); }

// A call of a plain thread that was told EAGAIN by a blocking descriptor, because of such a moment: to be
// repeated. Not if the socket has a time-out, which says the same.
bool was_spoilt(int fd, unsigned changes_before) noexcept;

// Makes a call that has no flag of its own for not waiting: its descriptor is non-blocking for that time.
template <class F>
auto call_without_blocking(int fd, F call) noexcept {
  mode_hold hold(fd);
  const int mode = kernel::fcntl(fd, F_GETFL);
  const bool changes = mode >= 0 && (mode & O_NONBLOCK) == 0;
  if (!changes) return call();
  hold.begin();
  kernel::fcntl(fd, F_SETFL, mode | O_NONBLOCK);
  const auto result = call();
  const int error = errno;
  kernel::fcntl(fd, F_SETFL, mode);
  errno = error;
  hold.end();
  return result;
}

}  // namespace zsync::detail
