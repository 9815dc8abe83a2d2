#include <zsync/sched/poller.hpp>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
namespace zsync::detail {
namespace {
struct stub final : poller {
  int ep = ::epoll_create1(EPOLL_CLOEXEC), ev = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  stub() { epoll_event e{}; e.events = EPOLLIN; ::epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e); }
  ~stub() override { ::close(ep); ::close(ev); }
  void wait(deadline d) override {
    timespec t{}; timespec* pt = nullptr;
    if (!d.is_never()) { auto r = d.remaining(); t.tv_sec = r.count() / 1000000000; t.tv_nsec = r.count() % 1000000000; pt = &t; }
    epoll_event e{};
    if (::epoll_pwait2(ep, &e, 1, pt, nullptr) == 1) { eventfd_t v; ::eventfd_read(ev, &v); }
  }
  void wake() noexcept override { ::eventfd_write(ev, 1); }
  int native_handle() const noexcept override { return ep; }
  std::size_t pending() const noexcept override { return 0; }
};
}
io_backend choose_backend(io_backend) { return io_backend::epoll; }
std::unique_ptr<poller> make_poller(io_backend) { return std::make_unique<stub>(); }
}
