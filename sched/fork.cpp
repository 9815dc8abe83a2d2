#include <zsync/sched/fork.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>

#include <pthread.h>

#include <system_error>

namespace zsync::detail {
namespace {

std::atomic<unsigned> runtimes{0};

}  // namespace

std::atomic<bool> forked_from_a_runtime{false};

void note_forked() noexcept {
  if (runtimes.load(std::memory_order_relaxed) == 0) return;
  forked_from_a_runtime.store(true, std::memory_order_relaxed);
  for (worker* w = current_worker(); w != nullptr; w = w->outer()) w->look_soon();
}

void refuse_in_child() noexcept {
  misuse("a process that was forked while a runtime lived may only exec or _exit, and calls into zsync");
}

fork_watch::fork_watch() {
  check_not_forked();
  static const int failure = ::pthread_atfork(nullptr, nullptr, &note_forked);
  if (failure != 0) throw std::system_error(failure, std::generic_category(), "pthread_atfork");
  runtimes.fetch_add(1, std::memory_order_relaxed);
}

fork_watch::~fork_watch() { runtimes.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace zsync::detail
