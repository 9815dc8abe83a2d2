// Files, which never would block but take their time, and what moves bytes between descriptors.
#include <zsync/io/accessible.hpp>
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/elsewhere.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/posix.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <limits>
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

}  // namespace

using namespace zsync::interpose;
namespace kernel = zsync::detail::kernel;
namespace posix = zsync::posix;

static_assert(sizeof(off_t) == sizeof(off64_t), "the calls with 64 in their names are the same");

namespace {

constexpr ssize_t fails = -1;

constexpr ssize_t unknown = -2;

// What is in memory needs no helper, nor does what is refused. `unknown`: it is not, or not all of it, or
// there is no telling.
ssize_t read_from_memory(int fd, void* buffer, std::size_t size, off_t offset) noexcept {
  if (offset < 0) return real_pread(fd, buffer, size, offset);  // which preadv2() takes for where the file is
  const int error = errno;
  const iovec v{buffer, size};
  const ssize_t n = ::preadv2(fd, &v, 1, offset, RWF_NOWAIT);
  if (n == 0 || n == static_cast<ssize_t>(size)) return n;
  if (n < 0 && errno != EAGAIN && errno != EOPNOTSUPP) return n;
  errno = error;
  return unknown;
}

}  // namespace

ZSYNC_REPLACES ssize_t pread(int fd, void* buffer, std::size_t size, off_t offset) {
  if (ends_on_worker()) return real_pread(fd, buffer, size, offset);
  if (const ssize_t n = read_from_memory(fd, buffer, size, offset); n != unknown) return n;
  return keeping_errno([&] { return posix::pread(fd, buffer, size, offset); });
}

ZSYNC_REPLACES ssize_t pwrite(int fd, const void* buffer, std::size_t size, off_t offset) {
  if (ends_on_worker()) return real_pwrite(fd, buffer, size, offset);
  return keeping_errno([&] { return posix::pwrite(fd, buffer, size, offset); });
}

ZSYNC_REPLACES ssize_t preadv(int fd, const iovec* vector, int count, off_t offset) {
  if (ends_on_worker()) return real_preadv(fd, vector, count, offset);
  return elsewhere([&] { return real_preadv(fd, vector, count, offset); }, fails);
}

ZSYNC_REPLACES ssize_t pwritev(int fd, const iovec* vector, int count, off_t offset) {
  if (ends_on_worker()) return real_pwritev(fd, vector, count, offset);
  return elsewhere([&] { return real_pwritev(fd, vector, count, offset); }, fails);
}

ZSYNC_REPLACES int fsync(int fd) {
  if (ends_on_worker()) return real_fsync(fd);
  return keeping_errno([&] { return posix::fsync(fd); });
}

ZSYNC_REPLACES int fdatasync(int fd) {
  if (ends_on_worker()) return real_fdatasync(fd);
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

// What libc refuses is refused before anything is read, by a call that moves nothing. Not of a pipe that is
// full or has nobody to read from it: of that even such a call waits, or raises SIGPIPE.
bool is_refused(int out, int in, const off_t* offset) noexcept {
  struct stat s {};
  if (::fstat(out, &s) == 0 && S_ISFIFO(s.st_mode)) {
    pollfd room{out, POLLOUT, 0};
    if (kernel::poll(&room, 1, 0) != 1 || room.revents != POLLOUT) return false;
  }
  off_t at = offset != nullptr ? *offset : 0;
  return real_sendfile(out, in, offset != nullptr ? &at : nullptr, std::size_t{0}) < 0;
}

bool is_there(off_t* offset) noexcept { return offset == nullptr || zsync::detail::can_write(offset); }

// What stands at positions that stay what they are. Of devices, directories, and what the kernel makes up as
// it is read, only sendfile() itself knows whether and how much it would send.
bool is_plain_file(int fd) noexcept {
  struct stat s {};
  return ::fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_size > 0;
}

// From file to file, with a mutex held.
bool ends_by_itself(int out) noexcept {
  struct stat s {};
  return mutexes_held() != 0 && ::fstat(out, &s) == 0 && S_ISREG(s.st_mode);
}

}  // namespace

ZSYNC_REPLACES ssize_t sendfile(int out, int in, off_t* offset, std::size_t count) noexcept {
  if (!on_fiber() || nonblocking(out) || count == 0 || ends_by_itself(out) || !is_there(offset))
    return real_sendfile(out, in, offset, count);
  const int error = errno;
  if (is_refused(out, in, offset)) return -1;
  errno = error;
  const wait_ahead ahead("sendfile", out, POLLOUT);
  if (!is_plain_file(in)) {
    return elsewhere([&] { return real_sendfile(out, in, offset, count); }, fails,
                     lasting::until_another_call);
  }
  return keeping_errno([&] { return read_and_send(out, in, offset, count); });
}

namespace {

bool is_pipe(int fd) noexcept {
  struct stat s {};
  return ::fstat(fd, &s) == 0 && S_ISFIFO(s.st_mode);
}

bool is_open_for(int fd, int access) noexcept {
  const int mode = kernel::fcntl(fd, F_GETFL);
  return mode >= 0 && ((mode & O_ACCMODE) == access || (mode & O_ACCMODE) == O_RDWR);
}

// What is refused is not waited for.
bool may_wait(int in, const off64_t* in_at, int out, const off64_t* out_at, std::size_t count) noexcept {
  const bool from_pipe = is_pipe(in);
  const bool to_pipe = is_pipe(out);
  return count != 0 && (from_pipe || to_pipe) && !(from_pipe && in_at != nullptr) &&
         !(to_pipe && out_at != nullptr) && is_open_for(in, O_RDONLY) && is_open_for(out, O_WRONLY);
}

// In milliseconds what a socket has set for its time-out, or for ever.
int patience(int fd, int option) noexcept {
  timeval t{};
  socklen_t size = sizeof t;
  const int error = errno;
  const bool timed =
      ::getsockopt(fd, SOL_SOCKET, option, &t, &size) == 0 && (t.tv_sec != 0 || t.tv_usec != 0);
  errno = error;
  if (!timed) return -1;
  constexpr long most = std::numeric_limits<int>::max() / 1000 - 1;
  return static_cast<int>(std::min(t.tv_sec, most) * 1000 + (t.tv_usec + 999) / 1000);
}

// False: errno says why.
bool becomes_ready(int fd, short events) noexcept {
  pollfd ready{fd, events, 0};
  const int n = ::poll(&ready, 1, patience(fd, events == POLLIN ? SO_RCVTIMEO : SO_SNDTIMEO));
  if (n == 0) errno = EAGAIN;
  return n > 0;
}

}  // namespace

// Of a blocking socket the flag for not waiting is ignored.
ZSYNC_REPLACES ssize_t splice(int in, off64_t* in_at, int out, off64_t* out_at, std::size_t count,
                              unsigned flags) {
  if ((flags & SPLICE_F_NONBLOCK) != 0 || !on_fiber() || !may_wait(in, in_at, out, out_at, count))
    return real_splice(in, in_at, out, out_at, count, flags);
  // Most of the waiting is done here, so that few helpers are needed.
  if (in_at == nullptr && !nonblocking(in) && !becomes_ready(in, POLLIN)) return -1;
  if (out_at == nullptr && !nonblocking(out) && !becomes_ready(out, POLLOUT)) return -1;
  const wait_ahead ahead("splice");
  return elsewhere([&] { return real_splice(in, in_at, out, out_at, count, flags); }, fails,
                   lasting::until_another_call);
}

// ---- by other names ----

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
