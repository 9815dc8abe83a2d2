// Reading from a terminal that hands over characters rather than lines: how many a read waits for (VMIN) and
// for how long (VTIME). The kernel does so itself, but blocks meanwhile. Other than there, fewer characters
// than VMIN without a VTIME stay where they are until the others come, and are lost if the line hangs up
// before.
//
//   VMIN VTIME
//     0    t    what there is; if nothing, what comes within t
//     n    0    n, or as many as are asked for
//     n    t    the same, but no more than t after each character, from the first one on
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/posix_call.hpp>

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace zsync::posix {
namespace {

namespace kernel = detail::kernel;

using namespace detail_;
using detail::descriptor;
using detail::descriptor_kind;
using detail::direction;
using detail::op;
using detail::op_kind;
using detail::terminal_mode;
using detail::wait_kind;

constexpr clock::rep tenth = 100'000'000;

class terminal_read {
 public:
  terminal_read(int fd, const iovec* vector, int count, const terminal_mode& mode) noexcept
      : fd_(fd), vector_(vector) {
    for (int i = 0; i < count; ++i) size_ += vector[i].iov_len;
    adopt(mode);
  }

  ssize_t run();

 private:
  void adopt(const terminal_mode& mode) noexcept {
    mode_ = mode;
    least_ = std::min<std::size_t>(std::max<std::size_t>(mode.least, 1), size_);
    until_ = mode.least == 0 ? deadline::after(clock::duration{mode.tenths * tenth}) : deadline::never();
  }
  // Somebody may have changed it while we waited. Where lines are read again, one is what is waited for.
  void look_at_mode() noexcept {
    const terminal_mode now = detail::terminal_mode_of(fd_).value_or(terminal_mode{1, 0});
    if (now.least != mode_.least || now.tenths != mode_.tenths) adopt(now);
  }
  [[nodiscard]] bool takes(std::size_t there) const noexcept {
    return there != 0 && (mode_.least == 0 || mode_.tenths != 0 || done_ + there >= least_);
  }
  // Readiness means VMIN characters if there is no VTIME.
  [[nodiscard]] bool is_told() const noexcept {
    return mode_.tenths != 0 || mode_.least == 0 || least_ - done_ == mode_.least;
  }
  [[nodiscard]] bool has_ended() const noexcept {
    pollfd p{fd_, POLLIN, 0};
    return kernel::poll(&p, 1, 0) != 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
  }
  ssize_t take(std::size_t there) noexcept;
  std::error_code await(bool& in_time);
  [[nodiscard]] ssize_t outcome(ssize_t instead) const noexcept {
    return done_ != 0 ? static_cast<ssize_t>(done_) : instead;
  }

  const int fd_;
  const iovec* const vector_;
  terminal_mode mode_{};
  std::size_t size_ = 0;
  std::size_t least_ = 0;
  std::size_t done_ = 0;
  deadline until_ = deadline::never();
  clock::rep nap_ = 1'000'000;
};

// No more than there are, so that the kernel does not wait.
ssize_t terminal_read::take(std::size_t there) noexcept {
  std::size_t skip = done_;
  const iovec* v = vector_;
  while (skip >= v->iov_len) skip -= v++->iov_len;
  return kernel::read(fd_, static_cast<char*>(v->iov_base) + skip, std::min(there, v->iov_len - skip));
}

// Not in time: what has come is all.
std::error_code terminal_read::await(bool& in_time) {
  constexpr clock::rep longest = 16'000'000;
  if (!is_told()) {
    const std::error_code ec = detail::pause(clock::duration{nap_});
    nap_ = std::min(2 * nap_, longest);
    return ec;
  }
  if (until_.has_passed()) {
    in_time = false;
    return {};
  }
  const clock::rep left = until_.is_never() ? descriptor::no_timeout.count()
                                            : std::max<clock::rep>(until_.remaining().count(), 1);
  op readable(op_kind::ready, direction::in);
  readable.fd = fd_;
  const std::error_code ec =
      perform_borrowed(fd_, descriptor_kind::shared_mode, readable, wait_kind::io_read, left);
  in_time = !own_timeout(ec);
  return in_time ? ec : std::error_code();
}

ssize_t terminal_read::run() {
  for (;;) {
    const auto there = static_cast<std::size_t>(bytes_of(fd_));
    if (takes(there) || has_ended()) {
      const ssize_t n = take(std::max<std::size_t>(there, 1));
      if (n <= 0) return without_waiting(outcome(n));
      done_ += static_cast<std::size_t>(n);
      if (done_ == size_) return without_waiting(static_cast<ssize_t>(done_));
      if (mode_.least != 0 && mode_.tenths != 0)
        until_ = deadline::after(clock::duration{mode_.tenths * tenth});
      continue;
    }
    if (done_ >= least_) return without_waiting(static_cast<ssize_t>(done_));
    bool in_time = true;
    const std::error_code ec = await(in_time);
    if (ec) return outcome(failed(to_errno(ec)));
    if (!in_time) return without_waiting(outcome(0));
    look_at_mode();
  }
}

}  // namespace

ssize_t detail_::read_terminal(int fd, const iovec* vector, int count, const terminal_mode& mode) {
  return terminal_read(fd, vector, count, mode).run();
}

}  // namespace zsync::posix
