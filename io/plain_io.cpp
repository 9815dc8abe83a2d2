#include <zsync/io/accessible.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/io/sigpipe.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace zsync::detail {
namespace {

#if defined(__linux__)
constexpr int no_signal = 0x100;  // RWF_NOSIGNAL, since Linux 6.18
constexpr int no_wait = 0x8;      // RWF_NOWAIT
#endif

// Whether this kernel has the flag; a wrong answer costs a system call.
std::atomic<bool> lacks_no_signal{false};

const iovec* vector_of(const op& o) noexcept { return static_cast<const iovec*>(o.data); }
int count_of(const op& o) noexcept { return static_cast<int>(o.size); }

std::int64_t write_quietly(int fd, const iovec* v, int count) noexcept {
#if defined(__linux__)
  if (!lacks_no_signal.load(std::memory_order_relaxed)) {
    const ssize_t n = ::pwritev2(fd, v, count, -1, no_signal);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ESPIPE)) return n;
    lacks_no_signal.store(true, std::memory_order_relaxed);
  }
#endif
  return without_sigpipe([&] { return kernel::writev(fd, v, count); });
}

bool is_ready(int fd, short events) noexcept {
  pollfd p{fd, events, 0};
  return kernel::poll(&p, 1, 0) > 0;
}

std::int64_t would_block() noexcept {
  errno = EAGAIN;
  return -1;
}

enum class nature : std::uint8_t {
  file,    // never would block
  pipe,    //
  device,  // terminals above all, which other processes share
  other,   // counters, timers, sets: nobody else relies on their mode
};

nature nature_of(int fd) noexcept {
  struct stat s {};
  if (::fstat(fd, &s) != 0) return nature::other;
  if (S_ISREG(s.st_mode) || S_ISDIR(s.st_mode) || S_ISBLK(s.st_mode)) return nature::file;
  if (S_ISFIFO(s.st_mode)) return nature::pipe;
  return S_ISCHR(s.st_mode) ? nature::device : nature::other;
}

// Goes on behind the first `done` bytes, as far as the file goes.
std::int64_t read_rest(const op& o, std::int64_t done) noexcept {
  const iovec* v = vector_of(o);
  int left = count_of(o);
  auto skip = static_cast<std::size_t>(done);
  while (left != 0 && skip >= v->iov_len) {
    skip -= v->iov_len;
    ++v;
    --left;
  }
  if (left == 0) return done;
  if (skip != 0) {
    const ssize_t n = kernel::read(o.fd, static_cast<char*>(v->iov_base) + skip, v->iov_len - skip);
    if (n > 0) done += n;
    if (n < static_cast<ssize_t>(v->iov_len - skip)) return done;
    ++v;
    --left;
  }
  const ssize_t n = left != 0 ? kernel::readv(o.fd, v, left) : 0;
  return n > 0 ? done + n : done;
}

std::size_t size_of(const op& o) noexcept {
  std::size_t size = 0;
  for (int i = 0; i < count_of(o); ++i) size += vector_of(o)[i].iov_len;
  return size;
}

// Of a FIFO that nobody has ever written to poll() says nothing, whereas a read says that it is at its end.
// It takes nothing out to look by a copy of what is in it.
bool lacks_writers(int fd) noexcept {
#if defined(__linux__)
  int copy[2];
  if (::pipe2(copy, O_CLOEXEC) != 0) return false;
  const ssize_t n = ::tee(fd, copy[1], 1, SPLICE_F_NONBLOCK);
  for (const int end : copy) kernel::close(end);
  return n == 0;
#else
  static_cast<void>(fd);
  return false;
#endif
}

// No more than there are, for the kernel would wait for as many as the mode says.
std::int64_t read_characters(const op& o) noexcept {
  if (is_nonblocking(o.fd)) return kernel::readv(o.fd, vector_of(o), count_of(o));
  if ((o.flags & leaves_terminals) != 0) return would_block();
  int there = 0;
  if (::ioctl(o.fd, FIONREAD, &there) != 0 || there <= 0) there = 1;
  if (!is_ready(o.fd, POLLIN)) return would_block();
  const iovec* v = vector_of(o);
  while (v->iov_len == 0 && v + 1 != vector_of(o) + o.size) ++v;
  return kernel::read(o.fd, v->iov_base, std::min(v->iov_len, static_cast<std::size_t>(there)));
}

// What neither the kernel nor its nature keeps from waiting.
std::int64_t read_unsupported(const op& o, nature what) noexcept {
  const auto read = [&o] { return kernel::readv(o.fd, vector_of(o), count_of(o)); };
  if (what == nature::other)
    return is_ready(o.fd, POLLIN) ? call_without_blocking(o.fd, read) : would_block();
  if (what == nature::device && terminal_mode_of(o.fd)) return read_characters(o);
  // Only somebody else who reads from the same one could make this wait.
  if (is_ready(o.fd, POLLIN)) return read();
  return what == nature::pipe && lacks_writers(o.fd) ? 0 : would_block();
}

#if defined(__linux__)
// The value of a counter, of which there may be room for one more and not for as many as are to be added;
// the most that there can be if this is none.
std::uint64_t count_of_eventfd(int fd) noexcept {
  constexpr std::uint64_t full = ~std::uint64_t{0} - 1;
  char path[48];
  std::snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  const int info = ::open(path, O_RDONLY | O_CLOEXEC);
  if (info < 0) return full;
  char text[512] = {};
  const ssize_t n = kernel::read(info, text, sizeof text - 1);
  kernel::close(info);
  const char* const at = n > 0 ? std::strstr(text, "eventfd-count:") : nullptr;
  return at != nullptr ? std::strtoull(at + sizeof "eventfd-count:" - 1, nullptr, 16) : full;
}

bool has_room(const op& o) noexcept {
  std::uint64_t more = 0;
  if (o.size != 1 || vector_of(o)->iov_len < sizeof more) return false;
  if (!can_read(vector_of(o)->iov_base, sizeof more)) return false;
  std::memcpy(&more, vector_of(o)->iov_base, sizeof more);
  return is_ready(o.fd, POLLOUT) &&
         (more == 1 || (more < ~std::uint64_t{0} && count_of_eventfd(o.fd) < ~std::uint64_t{0} - more));
}
#else
bool has_room(const op&) noexcept { return false; }
#endif

// Counters above all. Others may wait for one by a call that blocks, at the very moment at which it is
// written to: so its mode stays as it is where it can.
std::int64_t write_other(const op& o) noexcept {
  const auto write = [&o] { return kernel::writev(o.fd, vector_of(o), count_of(o)); };
  return has_room(o) ? write() : call_without_blocking(o.fd, write);
}

std::int64_t write_unsupported(const op& o, nature what) noexcept {
  const auto write = [&o] { return kernel::writev(o.fd, vector_of(o), count_of(o)); };
  if (what == nature::other) return write_other(o);
  if (!is_ready(o.fd, POLLOUT)) return would_block();
  // What one call writes to a device may be one message.
  if (what == nature::device && ::isatty(o.fd) == 0) return write();
  // Ready means room for this much.
  const iovec* v = vector_of(o);
  while (v->iov_len == 0 && v + 1 != vector_of(o) + o.size) ++v;
  const iovec part{v->iov_base, std::min<std::size_t>(v->iov_len, PIPE_BUF)};
  return write_quietly(o.fd, &part, 1);
}

}  // namespace

std::optional<terminal_mode> terminal_mode_of(int fd) noexcept {
  termios t{};
  const int error = errno;
  bool is_one = ::tcgetattr(fd, &t) == 0 && (t.c_lflag & ICANON) == 0;
#if defined(TIOCGPTN)
  // Who asks the master's side is told of the other one's mode.
  unsigned number = 0;
  is_one = is_one && ::ioctl(fd, TIOCGPTN, &number) != 0;
#endif
  errno = error;
  if (!is_one) return std::nullopt;
  return terminal_mode{t.c_cc[VMIN], t.c_cc[VTIME]};
}

std::int64_t read_own(op& o) noexcept { return kernel::readv(o.fd, vector_of(o), count_of(o)); }

std::int64_t write_own(op& o) noexcept { return write_quietly(o.fd, vector_of(o), count_of(o)); }

std::int64_t read_shared(op& o) noexcept {
#if defined(__linux__)
  const ssize_t n = ::preadv2(o.fd, vector_of(o), count_of(o), -1, no_wait);
  // Of a file, what is not in memory is left out, and nothing would ever tell that it is.
  if (n > 0) return static_cast<std::size_t>(n) < size_of(o) && is_file(o.fd) ? read_rest(o, n) : n;
  if (n == 0 || (errno != EAGAIN && errno != EOPNOTSUPP)) return n;
  const bool is_empty = errno == EAGAIN;
#else
  constexpr bool is_empty = false;
#endif
  const nature what = nature_of(o.fd);
  if (what == nature::file) return kernel::readv(o.fd, vector_of(o), count_of(o));
  return is_empty ? would_block() : read_unsupported(o, what);
}

std::int64_t write_shared(op& o) noexcept {
  const nature what = nature_of(o.fd);
  if (what == nature::file) return kernel::writev(o.fd, vector_of(o), count_of(o));
#if defined(__linux__)
  const bool quiet = !lacks_no_signal.load(std::memory_order_relaxed);
  const auto attempt = [&o](int flags) { return ::pwritev2(o.fd, vector_of(o), count_of(o), -1, flags); };
  const std::int64_t n =
      quiet ? attempt(no_wait | no_signal) : without_sigpipe([&] { return attempt(no_wait); });
  if (n >= 0 || errno != EOPNOTSUPP) return n;
#endif
  return write_unsupported(o, what);
}

std::int64_t read_nothing(op& o) noexcept {
  const auto read = [&o] { return kernel::read(o.fd, vector_of(o)->iov_base, 0); };
  return nature_of(o.fd) == nature::other ? call_without_blocking(o.fd, read) : read();
}

bool is_file(int fd) noexcept { return nature_of(fd) == nature::file; }

}  // namespace zsync::detail
