#include <zsync/io/mode.hpp>

#include <pthread.h>

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

}  // namespace zsync::detail
