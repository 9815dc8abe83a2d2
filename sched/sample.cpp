#include <zsync/sched/sample.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/worker.hpp>

#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>

namespace zsync::detail {
namespace {

constexpr int interrupting = SIGURG;

enum class phase : std::uint8_t { idle, asked, taking, taken };

// Signals belong to the process, and so does this. `now` says who may touch the rest: asker when idle or
// taken, the worker's thread while taking.
struct {
  std::mutex lock;  // one asker at a time
  std::atomic<phase> now{phase::idle};
  worker* of = nullptr;
  worker_sample* into = nullptr;
  struct sigaction before {};
} sampling;

void describe(const fiber_control& f, const void* context, worker_sample& into) noexcept {
  const checker::unseen writing;  // the asker's memory: the phase orders it
  into.in_fiber = static_cast<bool>(f.memory);
  into.id = f.id;
  into.self = reinterpret_cast<std::uintptr_t>(&f);
  into.cancelling = f.cancel_requested();
  into.spawned_at = f.spawned_at;
  into.stack_size = f.stack_size;
  if (f.name != nullptr) std::strncpy(into.name, f.name->c_str(), sizeof into.name - 1);
  into.frames_count =
      unwind_interrupted(context, f.memory.bottom, f.memory.top, into.frames, worker_sample::frames_max);
}

void on_signal(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  worker* here = current_worker();
  auto expected = phase::asked;
  if (here != nullptr && sampling.now.load(std::memory_order_acquire) == phase::asked) {
    // A fiber of that worker may drive a loop of its own, whose fibers then are what runs.
    while (here != nullptr && here != sampling.of) here = here->outer();
    if (here != nullptr &&
        sampling.now.compare_exchange_strong(expected, phase::taking, std::memory_order_acq_rel)) {
      describe(here->current(), context, *sampling.into);
      sampling.now.store(phase::taken, std::memory_order_release);
      errno = saved;
      return;
    }
  }
  if ((sampling.before.sa_flags & SA_SIGINFO) != 0) {
    sampling.before.sa_sigaction(signal, info, context);
  } else if (sampling.before.sa_handler != SIG_DFL && sampling.before.sa_handler != SIG_IGN) {
    sampling.before.sa_handler(signal);
  }
  errno = saved;
}

bool wait_until_taken(std::chrono::milliseconds patience) noexcept {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (sampling.now.load(std::memory_order_acquire) != phase::taken) {
    auto asked = phase::asked;
    if (std::chrono::steady_clock::now() >= end &&
        sampling.now.compare_exchange_strong(asked, phase::idle, std::memory_order_acq_rel)) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::microseconds{100});
  }
  return true;
}

}  // namespace

bool take_sample(worker& of, worker_sample& into, std::chrono::milliseconds patience) noexcept {
  const std::lock_guard hold(sampling.lock);
  sampling.of = &of;
  sampling.into = &into;
  struct sigaction ours {};
  ours.sa_sigaction = &on_signal;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  ::sigaction(interrupting, nullptr, &sampling.before);
  ::sigaction(interrupting, &ours, nullptr);
  sampling.now.store(phase::asked, std::memory_order_release);
  const bool taken = of.signal_driver(interrupting) && wait_until_taken(patience);
  sampling.now.store(phase::idle, std::memory_order_release);
  ::sigaction(interrupting, &sampling.before, nullptr);
  return taken;
}

}  // namespace zsync::detail
