// The selector on Linux's epoll: persistent and edge-triggered, with deadlines in nanoseconds.
#include <zsync/io/kernel.hpp>
#include <zsync/io/readiness.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <limits>
#include <system_error>

#if defined(__ELF__)
// Tells who looks at a program that zsync is in it, whatever else is stripped off or hidden.
__asm__(R"(
  .pushsection .note.zsync, "a", @note
  .balign 4
  .long 6, 4, 1
  .asciz "zsync"
  .balign 4
  .long 1
  .popsection
)");
#endif

namespace zsync::detail {
namespace {

class epoll_selector final : public selector {
 public:
  epoll_selector() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLET;  // each write is an edge, so that the counter need not be read
    e.data.u64 = wake_tag;
    if (epoll_ < 0 || wake_ < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &e) != 0) {
      const int error = errno;
      close_both();
      throw std::system_error(error, std::generic_category(), "epoll");
    }
  }
  ~epoll_selector() override { close_both(); }

  int arm(int fd, std::uint32_t generation, unsigned present, unsigned wanted) noexcept override {
    epoll_event e{};
    e.events = EPOLLET | EPOLLRDHUP;
    if ((wanted & 1u) != 0) e.events |= EPOLLIN | EPOLLPRI;
    if ((wanted & 2u) != 0) e.events |= EPOLLOUT;
    e.data.u64 = std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
    const int operation = present == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(epoll_, operation, fd, &e) == 0) return 0;
    // Left over from a number whose duplicate is still open elsewhere.
    if (errno == EEXIST && ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &e) == 0) return 0;
    return errno;
  }

  void disarm(int fd, unsigned) noexcept override { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

  std::span<const event> wait(deadline until) noexcept override {
    const int n = harvest(until);
    std::size_t count = 0;
    for (int i = 0; i < n; ++i) {
      const epoll_event& e = raw_[static_cast<std::size_t>(i)];
      if (e.data.u64 == wake_tag) {
        woken_.store(false, std::memory_order_seq_cst);
        continue;
      }
      const bool broken = (e.events & (EPOLLERR | EPOLLHUP)) != 0;
      const bool ended = broken || (e.events & (EPOLLRDHUP | EPOLLPRI)) != 0;
      events_[count++] = {static_cast<int>(e.data.u64 & 0xffffffffu),
                          static_cast<std::uint32_t>(e.data.u64 >> 32), ended || (e.events & EPOLLIN) != 0,
                          broken || (e.events & EPOLLOUT) != 0, ended};
    }
    return {events_.data(), count};
  }

  void wake() noexcept override {
    const int error = errno;  // a signal handler must not change it
    if (!woken_.exchange(true, std::memory_order_seq_cst)) ::eventfd_write(wake_, 1);
    errno = error;
  }

  int native_handle() const noexcept override { return epoll_; }

 private:
  static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
  static constexpr int batch = 256;

  void close_both() const noexcept {
    if (epoll_ >= 0) kernel::close(epoll_);
    if (wake_ >= 0) kernel::close(wake_);
  }

  int harvest(deadline until) noexcept {
    if (until.is_never()) return kernel::epoll_wait(epoll_, raw_.data(), batch, -1);
    // The usual quick look asks for no clock.
    if (until == deadline::passed()) return kernel::epoll_wait(epoll_, raw_.data(), batch, 0);
    const clock::duration left = until.remaining();
    if (left == clock::duration::zero()) return kernel::epoll_wait(epoll_, raw_.data(), batch, 0);
#if defined(SYS_epoll_pwait2)
    if (precise_) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
      timespec t{};
      t.tv_sec = static_cast<time_t>(seconds.count());
      t.tv_nsec = static_cast<long>((left - seconds).count());
      const long n = ::syscall(SYS_epoll_pwait2, epoll_, raw_.data(), batch, &t, nullptr, 0);
      if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(n);
      precise_ = false;
    }
#endif
    // Rounded up: late by less than a millisecond, never early.
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    constexpr auto longest = std::numeric_limits<int>::max();
    return kernel::epoll_wait(epoll_, raw_.data(), batch,
                              milliseconds < longest ? static_cast<int>(milliseconds) : longest);
  }

  const int epoll_;
  const int wake_;
  bool precise_ = true;
  std::atomic<bool> woken_{false};
  std::array<epoll_event, batch> raw_;
  std::array<event, batch> events_;
};

}  // namespace

std::unique_ptr<poller> make_epoll() {
  return std::make_unique<readiness>(std::make_unique<epoll_selector>());
}

}  // namespace zsync::detail
