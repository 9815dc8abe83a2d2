#include <zsync/io/mode.hpp>

#include <zsync/io/descriptor.hpp>
#include <zsync/io/posix_call.hpp>

#include <pthread.h>
#include <sched.h>

#include <array>
#include <new>

namespace zsync::detail {
namespace {

constinit std::array<mode_slot, 64> slots{};

// At the start of the program, for descriptors and forks are the process's, and there may be no runtime.
[[maybe_unused]] const int registered = ::pthread_atfork(nullptr, nullptr, &forget_mode_holders);

}  // namespace

mode_slot& mode_slot_of(int fd) noexcept { return slots[static_cast<unsigned>(fd) % slots.size()]; }

void forget_mode_holders() noexcept {
  for (mode_slot& each : slots) new (&each) mode_slot;
}

mode_hold::mode_hold(int fd) noexcept : slot_(mode_slot_of(fd)) {
  sigset_t all;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  slot_.lock.lock();
}

mode_hold::~mode_hold() {
  slot_.lock.unlock();
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  errno = error;
}

bool stays_nonblocking(int fd) noexcept {
  constexpr int looks = 4;
  for (int i = 0; i < looks; ++i) {
    if (i != 0) ::sched_yield();
    if (!is_nonblocking(fd)) return false;
  }
  return true;
}

bool was_spoilt(int fd, unsigned changes_before) noexcept {
  if (changes_before % 2 == 0 && mode_changes(fd) == changes_before) return false;
  const bool timed = posix::detail_::socket_timeout(fd, direction::in) != descriptor::no_timeout.count();
  return !timed && !is_nonblocking(fd);
}

}  // namespace zsync::detail
