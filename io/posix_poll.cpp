// Waiting for readiness of one descriptor or several.
#include <zsync/io/accessible.hpp>
#include <zsync/io/descriptor.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/poll.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/io/posix_call.hpp>

#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace zsync::posix {
namespace {

namespace kernel = detail::kernel;

using namespace detail_;

// Events of one direction alone are what engines wait for without a set of their own.
std::optional<detail::direction> only_direction(const pollfd& p) noexcept {
  constexpr int in = POLLIN | POLLRDNORM;
  constexpr int out = POLLOUT | POLLWRNORM;
  if (p.fd < 0 || p.events == 0) return std::nullopt;
  if ((p.events & ~in) == 0) return detail::direction::in;
  if ((p.events & ~out) == 0) return detail::direction::out;
  return std::nullopt;
}

// As poll_many() of one descriptor, which the worker may be waiting for already. Whoever closes it meanwhile
// ends the wait.
int poll_one(pollfd& p, detail::direction side, deadline until, std::error_code& ec) {
  ec.clear();
  for (bool expired = false;;) {
    int n = 0;
    do n = kernel::poll(&p, 1, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0) ec = {errno, std::system_category()};
    if (n != 0 || expired || until.has_passed()) return n;
    const detail::descriptor_ptr d = detail::descriptor_ptr::borrow(p.fd, detail::descriptor_kind::other);
    detail::op ready(detail::op_kind::ready, side);
    ec = detail::perform(*d, ready, detail::wait_kind::io_other,
                         until.is_never() ? detail::descriptor::no_timeout.count()
                                          : std::max<clock::rep>(until.remaining().count(), 1));
    expired = ec == std::errc::timed_out && ec != error::deadline_expired;
    if (expired) ec.clear();
    if (ec == error::closed) {
      ec.clear();
      p.revents = POLLNVAL;
      return 1;
    }
    if (ec) return -1;
  }
}

// Several are left to the kernel's look.
bool set_is_there(const pollfd* set, nfds_t count) noexcept { return count != 1 || detail::can_read(set); }

int wait_for_set(std::span<pollfd> set, deadline until, std::error_code& ec) {
  if (set.size() == 1) {
    if (const auto side = only_direction(set[0])) return poll_one(set[0], *side, until, ec);
  }
  return detail::poll_many(set, until, ec);
}

}  // namespace

int detail_::poll_until(pollfd* set, nfds_t count, deadline until) {
  if (!set_is_there(set, count)) return static_cast<int>(failed(EFAULT));
  std::error_code ec;
  return without_throwing([&] {
    const int n = wait_for_set({set, count}, until, ec);
    return without_waiting(ec ? static_cast<int>(failed(to_errno(ec))) : n);
  });
}

int poll(pollfd* set, nfds_t count, int timeout) {
  if (!inside()) return ::poll(set, count, timeout);
  if (!set_is_there(set, count)) return static_cast<int>(failed(EFAULT));
  if (timeout == 0) return without_waiting(kernel::poll(set, count, 0));
  return poll_until(set, count,
                    timeout < 0 ? deadline::never() : deadline::after(std::chrono::milliseconds{timeout}));
}

namespace {

// A set may be larger than fd_set, for whoever has made room: so these go by numbers alone.
using word = unsigned long;
constexpr int word_bits = 8 * sizeof(word);

bool contains(const fd_set* s, int fd) noexcept {
  return s != nullptr && (reinterpret_cast<const word*>(s)[fd / word_bits] >> (fd % word_bits) & 1u) != 0;
}

void insert(fd_set* s, int fd) noexcept {
  reinterpret_cast<word*>(s)[fd / word_bits] |= word{1} << (fd % word_bits);
}

void clear(fd_set* s, int count) noexcept {
  if (s != nullptr) std::fill_n(reinterpret_cast<word*>(s), (count + word_bits - 1) / word_bits, word{0});
}

// Linux looks no further than its table of this process's descriptors reaches, and programs that give as
// count how many there could ever be rely on that: their sets are smaller, or have whatever stands behind. 0:
// it does not say.
int table_size() noexcept {
  int size = 0;
  std::FILE* const file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return 0;
  char line[256];
  while (size == 0 && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, "FDSize:", 7) == 0) size = std::atoi(line + 7);
  }
  std::fclose(file);
  return size;
}

// Asked only where it makes a difference, for that takes its time.
int at_most_possible(int count) noexcept {
  const int size = table_size();
  return std::min(count, size != 0 ? size : FD_SETSIZE);
}

// What of a poll() is what for a select(), as in Linux.
constexpr int readable = POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR;
constexpr int writable = POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR;
constexpr int exceptional = POLLPRI;

bool is_found(const pollfd& p) noexcept {
  int found = 0;
  if ((p.events & POLLIN) != 0) found |= readable;
  if ((p.events & POLLOUT) != 0) found |= writable;
  if ((p.events & POLLPRI) != 0) found |= exceptional;
  return (p.revents & (found | POLLNVAL)) != 0;
}

std::vector<pollfd> set_of(int count, const fd_set* in, const fd_set* out, const fd_set* except) {
  std::vector<pollfd> set;
  for (int fd = 0; fd < count; ++fd) {
    int events = 0;
    if (contains(in, fd)) events |= POLLIN;
    if (contains(out, fd)) events |= POLLOUT;
    if (contains(except, fd)) events |= POLLPRI;
    if (events != 0) set.push_back({fd, static_cast<short>(events), 0});
  }
  return set;
}

// A poll() also ends by what hangs up or fails, of which a select() says nothing to who has not asked for it:
// the rest is waited for, and those are looked at from time to time, for it may pass.
void wait_for_selected(std::vector<pollfd>& set, deadline until, std::error_code& ec) {
  constexpr std::chrono::milliseconds from_time_to_time{20};
  for (;;) {
    if (wait_for_set(set, until, ec) <= 0 || ec || std::any_of(set.begin(), set.end(), is_found)) return;
    std::vector<pollfd> others;
    for (pollfd& p : set) {
      if (p.revents == 0) others.push_back(p);
      p.revents = 0;
    }
    if (until.has_passed()) return;
    wait_for_set(others, tightest(until, deadline::after(from_time_to_time)), ec);
    if (ec) return;
  }
}

using fd_sets = std::array<fd_set*, 3>;

bool are_there(const fd_sets& sets, int count) noexcept {
  const auto size = static_cast<std::size_t>((count + word_bits - 1) / word_bits) * sizeof(word);
  return std::all_of(sets.begin(), sets.end(), [size](fd_set* s) {
    return s == nullptr || detail::can_write(static_cast<void*>(s), size);
  });
}

bool is_invalid(const pollfd& p) noexcept { return (p.revents & POLLNVAL) != 0; }

// Waits for what is in the sets; `count` becomes how far they are looked at. Zero or an errno.
int wait_for_sets(std::vector<pollfd>& set, const fd_sets& sets, int& count, deadline until) {
  if (count > FD_SETSIZE || !are_there(sets, count)) count = at_most_possible(count);
  if (!are_there(sets, count)) return EFAULT;
  for (bool again = true;;) {
    set = set_of(count, sets[0], sets[1], sets[2]);
    std::error_code ec;
    wait_for_selected(set, until, ec);
    if (ec) return to_errno(ec);
    const auto invalid = std::find_if(set.begin(), set.end(), is_invalid);
    if (invalid == set.end()) return 0;
    if (!std::exchange(again, false)) return EBADF;
    count = at_most_possible(count);
    if (invalid->fd < count) return EBADF;
  }
}

int select_in_fiber(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  if (timeout != nullptr && !detail::can_write(timeout)) return static_cast<int>(failed(EFAULT));
  if (count < 0 || (timeout != nullptr && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
    return static_cast<int>(failed(EINVAL));
  const fd_sets sets{in, out, except};
  std::vector<pollfd> set;
  const deadline until =
      timeout == nullptr
          ? deadline::never()
          : after(timeout->tv_sec, detail::saturated(std::chrono::microseconds{timeout->tv_usec}));
  const int error = wait_for_sets(set, sets, count, until);
  without_waiting(0);
  if (error != 0 && error != EBADF) return static_cast<int>(failed(error));
  if (timeout != nullptr && !until.is_never()) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(until.remaining()).count();
    timeout->tv_sec = static_cast<time_t>(left / 1'000'000);
    timeout->tv_usec = static_cast<suseconds_t>(left % 1'000'000);
  }
  if (error != 0) return static_cast<int>(failed(error));
  for (fd_set* s : sets) clear(s, count);
  int ready = 0;
  for (const pollfd& p : set) {
    const auto report = [&](fd_set* s, int asked, int found) {
      if (s == nullptr || (p.events & asked) == 0 || (p.revents & found) == 0) return;
      insert(s, p.fd);
      ++ready;
    };
    report(in, POLLIN, readable);
    report(out, POLLOUT, writable);
    report(except, POLLPRI, exceptional);
  }
  return ready;
}

}  // namespace

int select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
  if (!inside()) return ::select(count, in, out, except, timeout);
  return without_throwing([&] { return select_in_fiber(count, in, out, except, timeout); });
}

}  // namespace zsync::posix
