#include <zsync/io/sim/abort_notice.hpp>

#include <zsync/fiber/backtrace.hpp>

#include <unistd.h>

#include <csignal>
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
    signal_safe_text(STDERR_FILENO) << "zsync: the simulation aborts with seed " << here.seed
                                    << "; ZSYNC_SIM_SEED=" << here.seed << " repeats it\n";
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
