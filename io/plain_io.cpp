#include <zsync/io/kernel.hpp>
#include <zsync/io/plain_io.hpp>
#include <zsync/io/sigpipe.hpp>

#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>

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

bool is_regular(int fd) noexcept {
  struct stat s {};
  return ::fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
}

std::int64_t would_block() noexcept {
  errno = EAGAIN;
  return -1;
}

}  // namespace

std::int64_t read_own(op& o) noexcept { return kernel::readv(o.fd, vector_of(o), count_of(o)); }

std::int64_t write_own(op& o) noexcept { return write_quietly(o.fd, vector_of(o), count_of(o)); }

std::int64_t read_shared(op& o) noexcept {
#if defined(__linux__)
  const ssize_t n = ::preadv2(o.fd, vector_of(o), count_of(o), -1, no_wait);
  if (n >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP && errno != EINVAL && errno != ESPIPE)) return n;
  if (errno == EAGAIN) {
    // Of a file that is not in memory, nothing would ever tell.
    if (!is_regular(o.fd)) return would_block();
    return kernel::readv(o.fd, vector_of(o), count_of(o));
  }
#endif
  // Terminals. Only somebody else who reads from the same one could make this wait.
  return is_ready(o.fd, POLLIN) ? kernel::readv(o.fd, vector_of(o), count_of(o)) : would_block();
}

std::int64_t write_shared(op& o) noexcept {
#if defined(__linux__)
  const bool quiet = !lacks_no_signal.load(std::memory_order_relaxed);
  const auto attempt = [&o](int flags) { return ::pwritev2(o.fd, vector_of(o), count_of(o), -1, flags); };
  const std::int64_t n =
      quiet ? attempt(no_wait | no_signal) : without_sigpipe([&] { return attempt(no_wait); });
  if (n >= 0 || (errno != EAGAIN && errno != EOPNOTSUPP && errno != EINVAL && errno != ESPIPE)) return n;
  if (errno == EAGAIN && !is_regular(o.fd)) return would_block();
#endif
  if (!is_ready(o.fd, POLLOUT)) return would_block();
  // Ready means room for this much.
  const iovec* v = vector_of(o);
  while (v->iov_len == 0 && v + 1 != vector_of(o) + o.size) ++v;
  const iovec part{v->iov_base, std::min<std::size_t>(v->iov_len, PIPE_BUF)};
  return write_quietly(o.fd, &part, 1);
}

}  // namespace zsync::detail
