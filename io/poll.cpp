// The descriptors go into an epoll instance or a kqueue of their own, and the fiber waits until that is
// readable: one wait for any number of them, on any engine.
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/poll.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#if defined(__linux__)
#include <sys/epoll.h>
#else
#include <sys/event.h>
#endif

namespace zsync::detail {
namespace {

int look(std::span<pollfd> set, std::error_code& ec) noexcept {
  int n = 0;
  do n = kernel::poll(set.data(), set.size(), 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) ec = {errno, std::system_category()};
  return n;
}

// Until `until`, and whether it was that which ended the wait rather than a scope.
std::error_code wait_for(descriptor& d, direction side, deadline until, bool& expired) {
  op o(op_kind::ready, side);
  const std::error_code ec = perform(
      d, o, wait_kind::io_other,
      until.is_never() ? descriptor::no_timeout.count() : std::max<clock::rep>(until.remaining().count(), 1));
  expired = ec == std::errc::timed_out && ec != error::deadline_expired;
  return expired ? std::error_code() : ec;
}

#if defined(__linux__)
std::error_code add(int epoll, const pollfd& p, std::span<const pollfd> set) noexcept {
  if (p.fd < 0) return {};
  epoll_event e{};
  e.events = static_cast<std::uint32_t>(static_cast<unsigned short>(p.events));
  e.data.fd = p.fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, p.fd, &e) == 0) return {};
  if (errno == EEXIST) {
    // Named twice, for different events perhaps. Not for more than those: what nobody asked for would make it
    // ready all the time.
    for (const pollfd& q : set) {
      if (q.fd == p.fd) e.events |= static_cast<std::uint32_t>(static_cast<unsigned short>(q.events));
    }
    if (::epoll_ctl(epoll, EPOLL_CTL_MOD, p.fd, &e) == 0) return {};
  }
  // A file, or what is like one, is ready at once or, for what it was asked for, never.
  if (errno == EPERM) return {};
  return {errno, std::system_category()};
}

int open_set() noexcept { return ::epoll_create1(EPOLL_CLOEXEC); }
#else
std::error_code add(int kqueue, const pollfd& p, std::span<const pollfd>) noexcept {
  if (p.fd < 0) return {};
  for (const auto& [asked, filter] :
       {std::pair{POLLIN | POLLPRI, short{EVFILT_READ}}, std::pair{POLLOUT, short{EVFILT_WRITE}}}) {
    struct kevent e {};
    EV_SET(&e, static_cast<std::uintptr_t>(p.fd), filter, EV_ADD, 0, 0, nullptr);
    if ((p.events & asked) != 0 && ::kevent(kqueue, &e, 1, nullptr, 0, nullptr) != 0)
      return {errno, std::system_category()};
  }
  return {};
}

int open_set() noexcept {
  const int fd = ::kqueue();
  if (fd >= 0) close_on_exec(fd);
  return fd;
}
#endif

descriptor_ptr make_set(std::span<const pollfd> set, std::error_code& ec) {
  const int fd = open_set();
  if (fd < 0) {
    ec = {errno, std::system_category()};
    return {};
  }
  descriptor_ptr d = descriptor_ptr::adopt(fd, descriptor_kind::other);
  for (const pollfd& p : set) {
    if (ec = add(fd, p, set); ec) return {};
  }
  return d;
}

int poll_several(std::span<pollfd> set, deadline until, std::error_code& ec) {
  const descriptor_ptr d = make_set(set, ec);
  bool expired = false;
  while (!ec) {
    ec = wait_for(*d, direction::in, until, expired);
    if (ec) break;
    if (const int n = look(set, ec); n != 0 || expired) return ec ? -1 : n;
  }
  return -1;
}

int poll_on_thread(std::span<pollfd> set, deadline until, std::error_code& ec) {
  const deadline_frame* const frame = innermost_deadline();
  const deadline scope = frame != nullptr ? frame->until : deadline::never();
  const deadline end = tightest(until, scope);
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end.remaining()).count();
    const int limit = end.is_never() ? -1 : static_cast<int>(std::min<std::int64_t>(left, 1'000'000));
    const int n = ::poll(set.data(), static_cast<nfds_t>(set.size()), limit);
    if (n > 0) return n;
    if (n < 0 && errno != EINTR) ec = {errno, std::system_category()};
    if (!ec && end.has_passed() && end == scope) ec = error::deadline_expired;
    if (ec || end.has_passed()) return ec ? -1 : 0;
  }
}

}  // namespace

int poll_many(std::span<pollfd> set, deadline until, std::error_code& ec) {
  ec.clear();
  if (const int n = look(set, ec); n != 0 || until.has_passed()) return n;
  if (current_fiber() == nullptr) return poll_on_thread(set, until, ec);
  if (set.empty()) {
    ec = pause(until.is_never() ? clock::duration::max() : until.remaining());
    return ec ? -1 : 0;
  }
  return poll_several(set, until, ec);
}

}  // namespace zsync::detail
