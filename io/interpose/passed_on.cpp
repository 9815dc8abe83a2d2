// Calls of which fibers need nothing, because the mode of a descriptor is asked of the kernel when a call
// would wait. They are replaced all the same, so that the self-test finds out if somebody in front makes
// descriptors that are not what they seem to be.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/posix_call.hpp>

#include <sys/socket.h>
#include <unistd.h>

namespace {

ZSYNC_REAL(socket);
ZSYNC_REAL(socketpair);
ZSYNC_REAL(pipe);
ZSYNC_REAL(pipe2);
ZSYNC_REAL(dup);
ZSYNC_REAL(shutdown);
ZSYNC_REAL(setsockopt);

}  // namespace

ZSYNC_REPLACES int socket(int family, int type, int protocol) noexcept {
  return real_socket(family, type, protocol);
}

ZSYNC_REPLACES int socketpair(int family, int type, int protocol, int* ends) noexcept {
  return real_socketpair(family, type, protocol, ends);
}

ZSYNC_REPLACES int pipe(int* ends) noexcept { return real_pipe(ends); }

ZSYNC_REPLACES int __pipe(int* ends) noexcept { return ::pipe(ends); }

ZSYNC_REPLACES int pipe2(int* ends, int flags) noexcept { return real_pipe2(ends, flags); }

ZSYNC_REPLACES int dup(int fd) noexcept { return real_dup(fd); }

ZSYNC_REPLACES int shutdown(int fd, int how) noexcept { return real_shutdown(fd, how); }

ZSYNC_REPLACES int setsockopt(int fd, int level, int name, const void* value, socklen_t length) noexcept {
  if (level == SOL_SOCKET && name == SO_RCVLOWAT && zsync::interpose::active())
    zsync::posix::detail_::note_low_water_mark();
  return real_setsockopt(fd, level, name, value, length);
}
