#include <zsync/io/sim/abort_notice.hpp>

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <mutex>

namespace zsync::detail::simulated {
namespace {

struct running {
  bool runs = false;
  std::uint64_t seed = 0;
};
thread_local running here;

std::mutex lock;
unsigned users = 0;  // threads that simulate; guarded by lock
struct sigaction before {
};  // what SIGABRT did before the first of them; guarded by lock, but for the handler

void say(int signal) {
  if (here.runs) {
    std::array<char, 120> text{};
    const auto seed = static_cast<unsigned long long>(here.seed);
    const int n = std::snprintf(
        text.data(), text.size(),
        "zsync: the simulation aborts with seed %llu; ZSYNC_SIM_SEED=%llu repeats it\n", seed, seed);
    static_cast<void>(!::write(STDERR_FILENO, text.data(), static_cast<std::size_t>(n)));
    here.runs = false;
  }
  // Blocked until this returns; then it is delivered to whom it was meant for.
  sigaction(signal, &before, nullptr);
  raise(signal);
}

}  // namespace

abort_notice::abort_notice(std::uint64_t seed) noexcept {
  here = {true, seed};
  const std::lock_guard hold(lock);
  if (users++ != 0) return;
  struct sigaction mine {};
  mine.sa_handler = say;
  mine.sa_flags = SA_ONSTACK;
  sigaction(SIGABRT, &mine, &before);
}

abort_notice::~abort_notice() {
  here.runs = false;
  const std::lock_guard hold(lock);
  if (--users != 0) return;
  struct sigaction now {};
  sigaction(SIGABRT, nullptr, &now);
  if (now.sa_handler == say) sigaction(SIGABRT, &before, nullptr);
}

}  // namespace zsync::detail::simulated
