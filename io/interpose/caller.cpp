#include <zsync/io/interpose/caller.hpp>

#include <zsync/io/accessible.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/interpose/report.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/sched/worker.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace zsync::detail {
// A program without zsync, into which this was preloaded, has none.
[[gnu::weak]] fiber_control* current_fiber() noexcept;
extern std::atomic<bool> forked_from_a_runtime [[gnu::weak]];
}  // namespace zsync::detail

namespace zsync::interpose {
namespace {

using detail::fiber_control;

fiber_control* calling_fiber() noexcept {
  return &detail::current_fiber == nullptr ? nullptr : detail::current_fiber();
}

// The fiber that locked or unlocked last on this thread. If others took their turns in between, in a way that
// is none of ours, its count is forgotten: too low at worst.
struct tally {
  const fiber_control* fiber = nullptr;
  std::uint64_t id = 0;
  unsigned held = 0;
};
thread_local constinit tally this_thread __attribute__((tls_model("initial-exec")));

tally* tally_of_caller() noexcept {
  const fiber_control* const fiber = calling_fiber();
  if (fiber == nullptr) return nullptr;
  tally& t = this_thread;
  if (t.fiber != fiber || t.id != fiber->id) t = {fiber, fiber->id, 0};
  return &t;
}

void note_locked() noexcept {
  if (tally* const t = tally_of_caller()) ++t->held;
}

void note_unlocked() noexcept {
  tally* const t = tally_of_caller();
  if (t != nullptr && t->held != 0) --t->held;
}

enum class reaction : std::uint8_t { abort, say, ignore };

reaction chosen_reaction() noexcept {
  const char* const text = std::getenv("ZSYNC_INTERPOSE_LOCKS");
  const std::string_view asked = text == nullptr ? "" : text;
  if (asked == "abort") return reaction::abort;
  if (asked == "say") return reaction::say;
  if (asked == "ignore") return reaction::ignore;
#if defined(NDEBUG)
  return reaction::say;
#else
  return reaction::abort;
#endif
}

void complain(const char* call, unsigned held) noexcept {
  static const reaction how = chosen_reaction();
  static std::atomic<bool> said{false};
  if (how == reaction::ignore || (how == reaction::say && said.exchange(true))) return;
  const fiber_control* const fiber = calling_fiber();
  std::fprintf(
      stderr,
      "zsync: fiber %llu '%s' waits in %s() and holds %u pthread mutex%s: another fiber of its worker "
      "that wants the same one will block the thread for ever, or get it as well if it is recursive%s\n",
      static_cast<unsigned long long>(fiber->id), fiber->name ? fiber->name->c_str() : "", call, held,
      held == 1 ? "" : "es", how == reaction::abort ? "" : " (said once)");
  if (how == reaction::abort) std::abort();
}

bool would_wait(int fd, short events) noexcept {
  pollfd p{fd, events, 0};
  return (detail::kernel::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 && detail::kernel::poll(&p, 1, 0) == 0;
}

unsigned held_for_a_call() noexcept {
  const unsigned held = mutexes_held();
  detail::engine* const engine = held != 0 ? detail::current_engine() : nullptr;
  if (engine != nullptr) [[unlikely]]
    engine->begin_anew();
  return held;
}

}  // namespace

bool active() noexcept { return &detail::current_fiber != nullptr; }

bool in_forked_child() noexcept {
  return active() && detail::forked_from_a_runtime.load(std::memory_order_relaxed);
}

bool on_fiber() noexcept {
  const fiber_control* const fiber = calling_fiber();
  if (fiber == nullptr) [[likely]]
    return false;
  const auto* const here = static_cast<const std::byte*>(__builtin_frame_address(0));
  return here >= fiber->memory.bottom && here < fiber->memory.top && !in_forked_child();
}

unsigned mutexes_held() noexcept {
  const tally* const t = tally_of_caller();
  return t == nullptr ? 0 : t->held;
}

wait_ahead::wait_ahead(const char* call, bool waits) noexcept : held_(held_for_a_call()) {
  if (held_ != 0 && waits) [[unlikely]]
    complain(call, held_);
}

wait_ahead::wait_ahead(const char* call, int fd, short events, int flags) noexcept
    : held_(held_for_a_call()) {
  if (held_ != 0 && (flags & MSG_DONTWAIT) == 0 && would_wait(fd, events)) [[unlikely]]
    complain(call, held_);
}

wait_ahead::wait_ahead(const char* call, pollfd* set, nfds_t count) noexcept : held_(held_for_a_call()) {
  if (held_ != 0 && (count != 1 || detail::can_read(set)) && detail::kernel::poll(set, count, 0) == 0)
      [[unlikely]]
    complain(call, held_);
}

wait_ahead::~wait_ahead() {
  if (held_ == 0) [[likely]]
    return;
  const int error = errno;
  if (tally* const t = tally_of_caller()) t->held = held_;
  errno = error;
}

namespace {

ZSYNC_REAL(pthread_mutex_lock);
ZSYNC_REAL(pthread_mutex_trylock);
ZSYNC_REAL(pthread_mutex_timedlock);
ZSYNC_REAL(pthread_mutex_clocklock);
ZSYNC_REAL(pthread_mutex_unlock);

int locked(int result) noexcept {
  if (result == 0 || result == EOWNERDEAD) note_locked();
  return result;
}

}  // namespace
}  // namespace zsync::interpose

using namespace zsync::interpose;

ZSYNC_REPLACES int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  const blocking_call timed("pthread_mutex_lock", __builtin_return_address(0));
  return locked(real_pthread_mutex_lock(mutex));
}

ZSYNC_REPLACES int pthread_mutex_trylock(pthread_mutex_t* mutex) noexcept {
  return locked(real_pthread_mutex_trylock(mutex));
}

ZSYNC_REPLACES int pthread_mutex_timedlock(pthread_mutex_t* mutex, const timespec* until) noexcept {
  const blocking_call timed("pthread_mutex_timedlock", __builtin_return_address(0));
  return locked(real_pthread_mutex_timedlock(mutex, until));
}

ZSYNC_REPLACES int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock,
                                           const timespec* until) noexcept {
  const blocking_call timed("pthread_mutex_clocklock", __builtin_return_address(0));
  return locked(real_pthread_mutex_clocklock(mutex, clock, until));
}

ZSYNC_REPLACES int pthread_mutex_unlock(pthread_mutex_t* mutex) noexcept {
  const int result = real_pthread_mutex_unlock(mutex);
  if (result == 0) note_unlocked();
  return result;
}
