// Files, which never would block but take their time; what moves bytes between descriptors; children.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/elsewhere.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/posix.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>

namespace {

ZSYNC_REAL(pread);
ZSYNC_REAL(pwrite);
ZSYNC_REAL(preadv);
ZSYNC_REAL(pwritev);
ZSYNC_REAL(fsync);
ZSYNC_REAL(fdatasync);
ZSYNC_REAL(sendfile);
ZSYNC_REAL(splice);
ZSYNC_REAL(waitpid);
ZSYNC_REAL(wait4);
ZSYNC_REAL(waitid);
ZSYNC_REAL(pthread_join);

}  // namespace

using namespace zsync::interpose;
namespace kernel = zsync::detail::kernel;
namespace posix = zsync::posix;

static_assert(sizeof(off_t) == sizeof(off64_t), "the calls with 64 in their names are the same");

namespace {

constexpr ssize_t fails = -1;

// What is in memory needs no helper. -2: it is not, or not all of it, or there is no telling.
ssize_t read_from_memory(int fd, void* buffer, std::size_t size, off_t offset) noexcept {
  const int error = errno;
  const iovec v{buffer, size};
  const ssize_t n = ::preadv2(fd, &v, 1, offset, RWF_NOWAIT);
  if (n == 0 || n == static_cast<ssize_t>(size)) return n;
  errno = error;
  return -2;
}

}  // namespace

ZSYNC_REPLACES ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) {
  if (!on_fiber()) return real_pread(fd, buffer, size, offset);
  if (const ssize_t n = read_from_memory(fd, buffer, size, offset); n != -2) return n;
  const wait_ahead ahead("pread");
  return keeping_errno([&] { return posix::pread(fd, buffer, size, offset); });
}

ZSYNC_REPLACES ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) {
  if (!on_fiber()) return real_pwrite(fd, buffer, size, offset);
  const wait_ahead ahead("pwrite");
  return keeping_errno([&] { return posix::pwrite(fd, buffer, size, offset); });
}

ZSYNC_REPLACES ssize_t preadv(int fd, const iovec* vector, int count, off_t offset) {
  if (!on_fiber()) return real_preadv(fd, vector, count, offset);
  const wait_ahead ahead("preadv");
  return elsewhere([&] { return real_preadv(fd, vector, count, offset); }, fails);
}

ZSYNC_REPLACES ssize_t pwritev(int fd, const iovec* vector, int count, off_t offset) {
  if (!on_fiber()) return real_pwritev(fd, vector, count, offset);
  const wait_ahead ahead("pwritev");
  return elsewhere([&] { return real_pwritev(fd, vector, count, offset); }, fails);
}

ZSYNC_REPLACES int fsync(int fd) {
  if (!on_fiber()) return real_fsync(fd);
  const wait_ahead ahead("fsync");
  return keeping_errno([&] { return posix::fsync(fd); });
}

ZSYNC_REPLACES int fdatasync(int fd) {
  if (!on_fiber()) return real_fdatasync(fd);
  const wait_ahead ahead("fdatasync");
  return elsewhere([&] { return real_fdatasync(fd); }, -1);
}

// ---- from descriptor to descriptor ----

namespace {

bool nonblocking(int fd) noexcept { return (kernel::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

// sendfile() has no flag for not waiting, and a blocking socket waits for its peer: so it is read and sent.
ssize_t read_and_send(int out, int in, off_t* offset, std::size_t count) noexcept {
  constexpr std::size_t at_once = 64 * 1024;
  const std::unique_ptr<std::byte[]> buffer(new (std::nothrow) std::byte[std::min(count, at_once)]);
  if (!buffer) {
    errno = ENOMEM;
    return -1;
  }
  const off_t start = offset != nullptr ? *offset : ::lseek(in, 0, SEEK_CUR);
  if (start < 0) return -1;
  std::size_t done = 0;
  ssize_t last = 0;
  while (done < count) {
    const ssize_t n =
        ::pread(in, buffer.get(), std::min(count - done, at_once), start + static_cast<off_t>(done));
    if (n <= 0) {
      last = n;
      break;
    }
    last = posix::write(out, buffer.get(), static_cast<std::size_t>(n));
    if (last > 0) done += static_cast<std::size_t>(last);
    if (last < n) break;
  }
  const off_t end = start + static_cast<off_t>(done);
  if (offset != nullptr) *offset = end;
  if (offset == nullptr && ::lseek(in, end, SEEK_SET) < 0 && done == 0) return -1;
  return done != 0 ? static_cast<ssize_t>(done) : last;
}

}  // namespace

ZSYNC_REPLACES ssize_t sendfile(int out, int in, off_t* offset, std::size_t count) noexcept {
  if (!on_fiber() || nonblocking(out) || count == 0) return real_sendfile(out, in, offset, count);
  const wait_ahead ahead("sendfile", out, POLLOUT);
  return read_and_send(out, in, offset, count);
}

// Of a blocking socket the flag for not waiting is ignored.
ZSYNC_REPLACES ssize_t splice(int in, off64_t* in_at, int out, off64_t* out_at, std::size_t count,
                              unsigned flags) {
  if ((flags & SPLICE_F_NONBLOCK) != 0 || !on_fiber())
    return real_splice(in, in_at, out, out_at, count, flags);
  // Most of the waiting is done here, so that few helpers are needed.
  if (in_at == nullptr && !nonblocking(in)) {
    pollfd ready{in, POLLIN, 0};
    if (::poll(&ready, 1, -1) < 0) return -1;
  }
  if (out_at == nullptr && !nonblocking(out)) {
    pollfd ready{out, POLLOUT, 0};
    if (::poll(&ready, 1, -1) < 0) return -1;
  }
  const wait_ahead ahead("splice");
  return elsewhere([&] { return real_splice(in, in_at, out, out_at, count, flags); }, fails);
}

// ---- children and threads ----

ZSYNC_REPLACES pid_t waitpid(pid_t child, int* status, int options) {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_waitpid(child, status, options);
  if (const pid_t ended = real_waitpid(child, status, options | WNOHANG); ended != 0) return ended;
  const wait_ahead ahead("waitpid");
  return elsewhere([&] { return real_waitpid(child, status, options); }, pid_t{-1});
}

ZSYNC_REPLACES pid_t wait(int* status) { return ::waitpid(-1, status, 0); }

ZSYNC_REPLACES pid_t wait4(pid_t child, int* status, int options, rusage* usage) noexcept {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_wait4(child, status, options, usage);
  if (const pid_t ended = real_wait4(child, status, options | WNOHANG, usage); ended != 0) return ended;
  const wait_ahead ahead("wait4");
  return elsewhere([&] { return real_wait4(child, status, options, usage); }, pid_t{-1});
}

ZSYNC_REPLACES pid_t wait3(int* status, int options, rusage* usage) noexcept {
  return ::wait4(-1, status, options, usage);
}

ZSYNC_REPLACES int waitid(idtype_t type, id_t id, siginfo_t* found, int options) {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_waitid(type, id, found, options);
  siginfo_t seen{};  // says by a process number of 0 that there is nothing yet
  const int error = errno;
  if (real_waitid(type, id, &seen, options | WNOHANG) != 0) return -1;
  if (seen.si_pid != 0) {
    if (found != nullptr) *found = seen;
    errno = error;
    return 0;
  }
  const wait_ahead ahead("waitid");
  return elsewhere([&] { return real_waitid(type, id, found, options); }, -1);
}

ZSYNC_REPLACES int pthread_join(pthread_t thread, void** result) {
  if (!on_fiber()) return real_pthread_join(thread, result);
  if (const int error = ::pthread_tryjoin_np(thread, result); error != EBUSY) return error;
  const wait_ahead ahead("pthread_join");
  return elsewhere([&] { return real_pthread_join(thread, result); }, EINVAL);
}

// ---- by other names ----

ZSYNC_REPLACES pid_t __wait(int* status) { return ::wait(status); }
ZSYNC_REPLACES pid_t __waitpid(pid_t child, int* status, int options) {
  return ::waitpid(child, status, options);
}
ZSYNC_REPLACES ssize_t pread64(int fd, void* buffer, std::size_t size, off64_t offset) {
  return ::pread(fd, buffer, size, offset);
}
ZSYNC_REPLACES ssize_t __pread64(int fd, void* buffer, std::size_t size, off64_t offset) {
  return ::pread(fd, buffer, size, offset);
}
ZSYNC_REPLACES ssize_t pwrite64(int fd, const void* buffer, std::size_t size, off64_t offset) {
  return ::pwrite(fd, buffer, size, offset);
}
ZSYNC_REPLACES ssize_t __pwrite64(int fd, const void* buffer, std::size_t size, off64_t offset) {
  return ::pwrite(fd, buffer, size, offset);
}
ZSYNC_REPLACES ssize_t preadv64(int fd, const iovec* vector, int count, off64_t offset) {
  return ::preadv(fd, vector, count, offset);
}
ZSYNC_REPLACES ssize_t pwritev64(int fd, const iovec* vector, int count, off64_t offset) {
  return ::pwritev(fd, vector, count, offset);
}
ZSYNC_REPLACES ssize_t sendfile64(int out, int in, off64_t* offset, std::size_t count) noexcept {
  return ::sendfile(out, in, offset, count);
}

ZSYNC_REPLACES [[noreturn]] void __chk_fail();

ZSYNC_REPLACES ssize_t __pread_chk(int fd, void* buffer, std::size_t size, off_t offset, std::size_t room) {
  if (size > room) ::__chk_fail();
  return ::pread(fd, buffer, size, offset);
}

ZSYNC_REPLACES ssize_t __pread64_chk(int fd, void* buffer, std::size_t size, off64_t offset,
                                     std::size_t room) {
  if (size > room) ::__chk_fail();
  return ::pread(fd, buffer, size, offset);
}
