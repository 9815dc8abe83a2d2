#include <zsync/fiber/control.hpp>
#include <zsync/io/backends.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/simulator.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <array>
#include <atomic>
#include <cstdio>
#include <system_error>

namespace zsync::detail {
namespace {

#if defined(__linux__)
constexpr io_backend readiness_backend = io_backend::epoll;
#else
constexpr io_backend readiness_backend = io_backend::kqueue;
#endif

#if ZSYNC_HAS_IO_URING
void say_once(int obstacle) noexcept {
  static std::atomic_flag said;
  if (said.test_and_set()) return;
  const std::string why = std::generic_category().message(obstacle);
  std::fprintf(stderr, "zsync: io_uring is not available here (%s); using epoll\n", why.c_str());
}
#endif

[[noreturn]] void unavailable(io_backend asked) {
  throw std::system_error(error::backend_unavailable, std::string(to_string(asked)));
}

}  // namespace
}  // namespace zsync::detail

namespace zsync {

std::span<const io_backend> built_backends() noexcept {
  static constexpr std::array built {
#if ZSYNC_HAS_IO_URING
    io_backend::io_uring,
#endif
#if defined(__linux__)
        io_backend::epoll,
#endif
#if ZSYNC_HAS_KQUEUE
        io_backend::kqueue,
#endif
  };
  return built;
}

}  // namespace zsync

namespace zsync::detail {

io_backend choose_backend(io_backend asked) {
  if (simulator::of_thread() != nullptr) return asked;
  switch (asked) {
    case io_backend::automatic: {
#if ZSYNC_HAS_IO_URING
      const int obstacle = uring_obstacle();
      if (obstacle == 0) return io_backend::io_uring;
      say_once(obstacle);
#endif
      return readiness_backend;
    }
    case io_backend::io_uring: {
#if ZSYNC_HAS_IO_URING
      if (const int obstacle = uring_obstacle(); obstacle != 0) {
        throw std::system_error(obstacle, std::generic_category(), "io_uring is not available here");
      }
      return asked;
#else
      unavailable(asked);
#endif
    }
    case io_backend::epoll:
#if defined(__linux__)
      return asked;
#else
      unavailable(asked);
#endif
    case io_backend::kqueue:
#if ZSYNC_HAS_KQUEUE
      return asked;
#else
      unavailable(asked);
#endif
  }
  unavailable(asked);
}

std::unique_ptr<poller> make_poller(io_backend backend) {
  if (simulator* const simulated = simulator::of_thread()) return simulated->make_poller(backend);
  switch (backend) {
#if ZSYNC_HAS_IO_URING
    case io_backend::io_uring:
      return make_uring();
#endif
#if defined(__linux__)
    case io_backend::epoll:
      return make_epoll();
#endif
#if ZSYNC_HAS_KQUEUE
    case io_backend::kqueue:
      return make_kqueue();
#endif
    default:
      unavailable(backend);
  }
}

engine* current_engine() noexcept {
  worker* const here = current_worker();
  return here != nullptr ? static_cast<engine*>(&here->io()) : nullptr;
}

void resume_anywhere(op& o) noexcept {
  static_cast<fiber_control&>(*o.party).anchored = false;
  schedule(*o.party);
}

bool engine::prefers_attempt(const op& o, expectation what) const noexcept {
  static_cast<void>(o);
  static_cast<void>(what);
  return true;
}

int engine::arm(descriptor& d, const op& o) noexcept {
  static_cast<void>(d);
  static_cast<void>(o);
  return 0;
}

void engine::move_in(descriptor& d) {
  const std::size_t place = place_of(d.fd());
  const checker::unseen the_table;
  if (place >= residents_.size()) residents_.resize(std::max(place + 1, residents_.size() * 2));
  residents_[place] = &d;
  d.generation = ++generations_;
}

void engine::move_out(descriptor& d) noexcept {
  // The number may have been returned by another thread, and reused here since.
  descriptor*& place = residents_[place_of(d.fd())];
  if (place == &d) place = nullptr;
}

void engine::post(descriptor& d, bool urgent) noexcept {
  descriptor* head = mailbox_.load(std::memory_order_relaxed);
  do {
    d.next_mail = head;
  } while (!mailbox_.compare_exchange_weak(head, &d, std::memory_order_release, std::memory_order_relaxed));
  if (urgent) wake();
}

void engine::read_mail_slowly() noexcept {
  descriptor* d = mailbox_.exchange(nullptr, std::memory_order_acquire);
  while (d != nullptr) {
    descriptor* const next = d->next_mail;
    d->receive_mail(*this);
    d = next;
  }
}

void engine::evict_all() noexcept {
  for (descriptor* d : residents_) {
    if (d != nullptr) d->evict(*this);
  }
  residents_.clear();
  read_mail_slowly();
}

}  // namespace zsync::detail
