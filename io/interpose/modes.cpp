// What a descriptor's mode is, and locks on files.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/elsewhere.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/mode.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

namespace {

ZSYNC_REAL(fcntl);
ZSYNC_REAL(fcntl64);
ZSYNC_REAL(ioctl);
ZSYNC_REAL(fdopen);
ZSYNC_REAL(flock);
ZSYNC_REAL(lockf);
ZSYNC_REAL(lockf64);

[[gnu::constructor]] void find_early() noexcept {
  zsync::interpose::find_all(real_fcntl, real_fcntl64, real_ioctl);
}

}  // namespace

using namespace zsync::interpose;
namespace detail = zsync::detail;

namespace {

// While a fiber accepts or connects, a blocking descriptor is non-blocking for a moment: nobody sees that,
// and nobody sets a mode that would be lost.
template <class F>
int looked_at(int fd, F look) noexcept {
  return active() && fd >= 0 ? detail::look_at_mode(fd, look) : look();
}

template <class F>
int between_changes(int fd, F change) noexcept {
  if (!active() || fd < 0) return change();
  const detail::mode_hold hold(fd);
  return change();
}

// A lock that is free is taken at once; only for one that is not a helper waits.
template <class Try, class F>
int tried_first(const char* name, Try attempt, F f) noexcept {
  const int error = errno;
  const int result = attempt();
  if (result == 0 || (errno != EAGAIN && errno != EACCES)) return result;
  errno = error;
  const wait_ahead ahead(name);
  return elsewhere(f, -1, lasting::until_another_call);
}

template <class Real>
int controlled(Real& real, const char* name, int fd, int command, void* argument) {
  switch (command) {
    case F_GETFL:
      return looked_at(fd, [&] { return real(fd, command, argument); });
    case F_SETFL:
      return between_changes(fd, [&] { return real(fd, command, argument); });
    case F_SETLKW:
    case F_OFD_SETLKW: {
      if (!on_fiber()) break;
      const int trying = command == F_SETLKW ? F_SETLK : F_OFD_SETLK;
      return tried_first(
          name, [&] { return real(fd, trying, argument); }, [&] { return real(fd, command, argument); });
    }
    default:
      break;
  }
  return real(fd, command, argument);
}

void* argument_of(std::va_list list) { return va_arg(list, void*); }

}  // namespace

ZSYNC_REPLACES int fcntl(int fd, int command, ...) {
  std::va_list list;
  va_start(list, command);
  void* const argument = argument_of(list);
  va_end(list);
  return controlled(real_fcntl, "fcntl", fd, command, argument);
}

ZSYNC_REPLACES int fcntl64(int fd, int command, ...) {
  std::va_list list;
  va_start(list, command);
  void* const argument = argument_of(list);
  va_end(list);
  return controlled(real_fcntl64, "fcntl64", fd, command, argument);
}

ZSYNC_REPLACES int __fcntl(int fd, int command, ...) {
  std::va_list list;
  va_start(list, command);
  void* const argument = argument_of(list);
  va_end(list);
  return controlled(real_fcntl, "fcntl", fd, command, argument);
}

ZSYNC_REPLACES int ioctl(int fd, unsigned long request, ...) noexcept {
  std::va_list list;
  va_start(list, request);
  void* const argument = argument_of(list);
  va_end(list);
  if (request == FIONBIO) return between_changes(fd, [&] { return real_ioctl(fd, request, argument); });
  return real_ioctl(fd, request, argument);
}

ZSYNC_REPLACES FILE* fdopen(int fd, const char* mode) noexcept { return real_fdopen(fd, mode); }

ZSYNC_REPLACES FILE* _IO_fdopen(int fd, const char* mode) noexcept { return ::fdopen(fd, mode); }

ZSYNC_REPLACES int flock(int fd, int operation) noexcept {
  if ((operation & LOCK_NB) != 0 || !on_fiber()) return real_flock(fd, operation);
  return tried_first(
      "flock", [&] { return real_flock(fd, operation | LOCK_NB); },
      [&] { return real_flock(fd, operation); });
}

ZSYNC_REPLACES int lockf(int fd, int command, off_t size) {
  if (command != F_LOCK || !on_fiber()) return real_lockf(fd, command, size);
  return tried_first(
      "lockf", [&] { return real_lockf(fd, F_TLOCK, size); }, [&] { return real_lockf(fd, command, size); });
}

ZSYNC_REPLACES int lockf64(int fd, int command, off64_t size) {
  if (command != F_LOCK || !on_fiber()) return real_lockf64(fd, command, size);
  return tried_first(
      "lockf64", [&] { return real_lockf64(fd, F_TLOCK, size); },
      [&] { return real_lockf64(fd, command, size); });
}
