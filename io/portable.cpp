#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/simulated.hpp>

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>

#if defined(__linux__)
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#else
#include <sys/uio.h>
#endif

namespace zsync::detail {
namespace {

#if defined(SOCK_CLOEXEC) && defined(SOCK_NONBLOCK)
constexpr int socket_modes = SOCK_CLOEXEC | SOCK_NONBLOCK;
#else
constexpr int socket_modes = 0;

void make_nonblocking(int fd) noexcept {
  kernel::fcntl(fd, F_SETFL, kernel::fcntl(fd, F_GETFL) | O_NONBLOCK);
}
#endif

// What could not be asked for at once.
int finish_socket(int fd) noexcept {
  if (fd < 0) return fd;
#if !defined(SOCK_CLOEXEC) || !defined(SOCK_NONBLOCK)
  close_on_exec(fd);
  make_nonblocking(fd);
#endif
  silence(fd);
  return fd;
}

}  // namespace

void close_on_exec(int fd) noexcept { kernel::fcntl(fd, F_SETFD, FD_CLOEXEC); }

void silence(int fd) noexcept {
#if !defined(MSG_NOSIGNAL) && defined(SO_NOSIGPIPE)
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#else
  static_cast<void>(fd);
#endif
}

int settle_connection(int fd, const sockaddr* address, socklen_t size) noexcept {
#if defined(__linux__)
  if (is_simulated(fd)) return 0;
  const int result = call_without_blocking(fd, [&] { return kernel::connect(fd, address, size); });
  return result == 0 || errno == EISCONN ? 0 : errno;
#else
  static_cast<void>(fd);
  static_cast<void>(address);
  static_cast<void>(size);
  return 0;
#endif
}

int open_socket(int family, int type) noexcept {
  return finish_socket(kernel::socket(family, type | socket_modes));
}

int open_socket_pair(int family, int type, int (&ends)[2]) noexcept {
  if (kernel::socketpair(family, type | socket_modes, ends) != 0) return -1;
  for (const int fd : ends) finish_socket(fd);
  return 0;
}

int open_pipe(int (&ends)[2], bool blocking) noexcept {
#if defined(__APPLE__)
  if (::pipe(ends) != 0) return -1;
  for (const int fd : ends) {
    close_on_exec(fd);
    if (!blocking) make_nonblocking(fd);
  }
  return 0;
#else
  return ::pipe2(ends, O_CLOEXEC | (blocking ? 0 : O_NONBLOCK));
#endif
}

int accept_connection(int listener, sockaddr* address, socklen_t* size) noexcept {
#if defined(__APPLE__)
  return finish_socket(::accept(listener, address, size));
#else
  return finish_socket(kernel::accept4(listener, address, size, socket_modes));
#endif
}

int accept_with(int listener, sockaddr* address, socklen_t* size, int flags) noexcept {
#if defined(__APPLE__)
  if (flags == 0) return ::accept(listener, address, size);
  errno = EINVAL;
  return -1;
#else
  return kernel::accept4(listener, address, size, flags);
#endif
}

int send_messages(int fd, counted_message* messages, unsigned count, int flags) noexcept {
#if defined(__APPLE__)
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t n = ::sendmsg(fd, &messages[i].msg_hdr, flags);
    if (n < 0) return i != 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<std::size_t>(n);
  }
  return static_cast<int>(count);
#else
  return kernel::sendmmsg(fd, messages, count, flags);
#endif
}

int receive_messages(int fd, counted_message* messages, unsigned count, int flags) noexcept {
#if defined(__APPLE__)
  for (unsigned i = 0; i < count; ++i) {
    const ssize_t n = ::recvmsg(fd, &messages[i].msg_hdr, flags);
    if (n < 0) return i != 0 ? static_cast<int>(i) : -1;
    messages[i].msg_len = static_cast<std::size_t>(n);
  }
  return static_cast<int>(count);
#else
  return kernel::recvmmsg(fd, messages, count, flags);
#endif
}

std::int64_t send_from_file(int socket, int file, off_t position, std::size_t count) noexcept {
#if defined(__linux__)
  return kernel::sendfile(socket, file, &position, count);
#elif defined(__APPLE__)
  auto sent = static_cast<off_t>(count);
  const int result = ::sendfile(file, socket, position, &sent, nullptr, 0);
  return result == 0 || sent != 0 ? sent : -1;
#else
  off_t sent = 0;
  const int result = ::sendfile(file, socket, position, count, nullptr, &sent, 0);
  return result == 0 || sent != 0 ? sent : -1;
#endif
}

const char* trusted_environment(const char* name) noexcept {
#if defined(__linux__)
  return ::secure_getenv(name);
#else
  return ::issetugid() != 0 ? nullptr : std::getenv(name);
#endif
}

void lower_priority() noexcept {
#if defined(__linux__)
  (void)::setpriority(PRIO_PROCESS, 0, 10);  // which POSIX means for the process
#endif
}

int sync_data(int fd) noexcept {
#if defined(__APPLE__)
  return ::fsync(fd);
#else
  return kernel::fdatasync(fd);
#endif
}

std::int64_t modified_at(const struct stat& s) noexcept {
#if defined(__APPLE__)
  const timespec& t = s.st_mtimespec;
#else
  const timespec& t = s.st_mtim;
#endif
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// ---- flag_descriptor: an eventfd, elsewhere a pipe whose other end is closed ----

flag_descriptor::~flag_descriptor() {
  if (reader_ >= 0) kernel::close(reader_);
  if (writer_ >= 0) kernel::close(writer_);
}

int flag_descriptor::open(bool raised) noexcept {
  if (reader_ >= 0) return reader_;
#if defined(__linux__)
  reader_ = ::eventfd(raised ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
#else
  int ends[2];
  if (open_pipe(ends) != 0) return -1;
  reader_ = ends[0];
  writer_ = ends[1];
  if (raised) raise();
#endif
  return reader_;
}

void flag_descriptor::raise() noexcept {
#if defined(__linux__)
  if (reader_ >= 0) ::eventfd_write(reader_, 1);
#else
  if (writer_ >= 0) kernel::close(writer_);
  writer_ = -1;
#endif
}

}  // namespace zsync::detail
