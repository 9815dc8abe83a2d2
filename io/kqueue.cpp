// The selector on kqueue: native on BSD and macOS, and on Linux against libkqueue, by which it is tested
// there.
//
// Filters are registered once, edge-triggered (EV_CLEAR), and vanish with the descriptor. kevent's user data
// carries the generation. Wakes are user events (EVFILT_USER).
#include <zsync/io/readiness.hpp>

#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <system_error>

namespace zsync::detail {
namespace {

struct kevent change(std::uintptr_t ident, short filter, unsigned flags, unsigned filter_flags,
                     std::uint32_t generation) noexcept {
  struct kevent e {};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): what kevent has for this is a pointer
  EV_SET(&e, ident, filter, static_cast<unsigned short>(flags), filter_flags, 0,
         reinterpret_cast<void*>(static_cast<std::uintptr_t>(generation)));
  return e;
}

class kqueue_selector final : public selector {
 public:
  kqueue_selector() : kqueue_(::kqueue()) {
    const struct kevent e = change(wake_ident, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0);
    if (kqueue_ >= 0 && ::kevent(kqueue_, &e, 1, nullptr, 0, nullptr) == 0) return;
    const int error = errno;
    if (kqueue_ >= 0) ::close(kqueue_);
    throw std::system_error(error, std::generic_category(), "kqueue");
  }
  ~kqueue_selector() override { ::close(kqueue_); }

  int arm(int fd, std::uint32_t generation, unsigned present, unsigned wanted) noexcept override {
#if defined(__linux__)
    // libkqueue does not notice that a descriptor is closed, and takes its number's next use for the same
    // one.
    if (present == 0) disarm(fd, 3u);
#endif
    std::array<struct kevent, 2> changes;
    int count = 0;
    const unsigned fresh = wanted & ~present;
    const auto ident = static_cast<std::uintptr_t>(fd);
    if ((fresh & 1u) != 0) {
      changes[static_cast<std::size_t>(count++)] =
          change(ident, EVFILT_READ, EV_ADD | EV_CLEAR, 0, generation);
    }
    if ((fresh & 2u) != 0) {
      changes[static_cast<std::size_t>(count++)] =
          change(ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, generation);
    }
    return ::kevent(kqueue_, changes.data(), count, nullptr, 0, nullptr) == 0 ? 0 : errno;
  }

  void disarm(int fd, unsigned present) noexcept override {
    const auto ident = static_cast<std::uintptr_t>(fd);
    for (const auto& [bit, filter] :
         {std::pair{1u, short{EVFILT_READ}}, std::pair{2u, short{EVFILT_WRITE}}}) {
      if ((present & bit) == 0) continue;
      const struct kevent e = change(ident, filter, EV_DELETE, 0, 0);
      ::kevent(kqueue_, &e, 1, nullptr, 0, nullptr);
    }
  }

  std::span<const event> wait(deadline until) noexcept override {
    const int n = harvest(until);
    std::size_t count = 0;
    for (int i = 0; i < n; ++i) {
      const struct kevent& e = raw_[static_cast<std::size_t>(i)];
      if (e.filter == EVFILT_USER) {
        woken_.store(false, std::memory_order_seq_cst);
        continue;
      }
#if defined(__linux__)
      const bool ended = true;  // libkqueue does not always tell that the end stands behind the data
#else
      const bool ended = (e.flags & (EV_EOF | EV_ERROR)) != 0;
#endif
      events_[count++] = {
          static_cast<int>(e.ident), static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(e.udata)),
          e.filter == EVFILT_READ, e.filter == EVFILT_WRITE, ended && e.filter == EVFILT_READ};
    }
    return {events_.data(), count};
  }

  void wake() noexcept override {
    const int error = errno;  // a signal handler must not change it
    if (!woken_.exchange(true, std::memory_order_seq_cst)) {
      const struct kevent e = change(wake_ident, EVFILT_USER, 0, NOTE_TRIGGER, 0);
      ::kevent(kqueue_, &e, 1, nullptr, 0, nullptr);
    }
    errno = error;
  }

  int native_handle() const noexcept override { return kqueue_; }

 private:
  static constexpr std::uintptr_t wake_ident = 0;  // user events have numbers of their own
  static constexpr int batch = 256;

  int harvest(deadline until) noexcept {
    if (until.is_never()) return ::kevent(kqueue_, nullptr, 0, raw_.data(), batch, nullptr);
    const clock::duration left = until == deadline::passed() ? clock::duration::zero() : until.remaining();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timespec t{};
    t.tv_sec = static_cast<time_t>(seconds.count());
    t.tv_nsec = static_cast<long>((left - seconds).count());
    return ::kevent(kqueue_, nullptr, 0, raw_.data(), batch, &t);
  }

  const int kqueue_;
  std::atomic<bool> woken_{false};
  std::array<struct kevent, batch> raw_;
  std::array<event, batch> events_;
};

}  // namespace

std::unique_ptr<poller> make_kqueue() {
  return std::make_unique<readiness>(std::make_unique<kqueue_selector>());
}

}  // namespace zsync::detail
