// Waiting for the ends of processes and threads.
#include <zsync/io/accessible.hpp>
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/elsewhere.hpp>
#include <zsync/io/interpose/real.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/mode.hpp>
#include <zsync/io/posix.hpp>
#include <zsync/sched/fork.hpp>
#include <zsync/sched/wait.hpp>

#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <new>
#include <system_error>

// Of glibc since 2.34.
extern "C" pid_t _Fork() noexcept;

// pthread_cancel() of a plain thread unwinds through these, which the headers promise not to happen.
extern "C" [[gnu::visibility("default")]] pid_t zsync_replaces_wait4(pid_t child, int* status, int options,
                                                                     rusage* usage) __asm__("wait4");
extern "C" [[gnu::visibility("default")]] pid_t zsync_replaces_wait3(int* status, int options,
                                                                     rusage* usage) __asm__("wait3");

namespace {

ZSYNC_REAL(waitpid);
constinit zsync::interpose::real_function<pid_t(pid_t, int*, int, rusage*)> real_wait4{"wait4"};
ZSYNC_REAL(waitid);
ZSYNC_REAL(pthread_join);
ZSYNC_REAL(_Fork);

[[gnu::constructor]] void find_early() noexcept {
  zsync::interpose::find_all(real_waitpid, real_wait4, real_waitid);
}

}  // namespace

using namespace zsync::interpose;
namespace detail = zsync::detail;
namespace kernel = zsync::detail::kernel;
namespace posix = zsync::posix;

namespace {

enum class waited : std::uint8_t { until_ended, in_vain, not_at_all };

// For a pidfd, which is readable once the process has ended. In vain: errno says why.
waited await_end(int pidfd) noexcept {
  if (pidfd < 0) return waited::not_at_all;
  pollfd p{pidfd, POLLIN, 0};
  return posix::poll(&p, 1, -1) == 1 ? waited::until_ended : waited::in_vain;
}

waited await_end_of(pid_t child) noexcept {
  const auto pidfd = child > 0 ? static_cast<int>(::syscall(SYS_pidfd_open, child, 0)) : -1;
  const waited how = await_end(pidfd);
  const int error = errno;
  if (pidfd >= 0) kernel::close(pidfd);
  errno = error;
  return how;
}

// `look(options)` is one of the calls, which returns 0 if there is nothing yet. One process's end needs no
// helper.
template <class Look>
pid_t wait_for(const char* name, pid_t child, int options, Look look) noexcept {
  const int error = errno;
  if (const pid_t ended = look(options | WNOHANG); ended != 0) return ended;
  const wait_ahead ahead(name);
  if (options == 0) {
    const waited how = await_end_of(child);
    if (how == waited::in_vain) return -1;
    errno = error;
    if (how == waited::until_ended) {
      if (const pid_t ended = look(WNOHANG); ended != 0) return ended;
    }
  }
  errno = error;
  return elsewhere([&] { return look(options); }, pid_t{-1}, lasting::until_another_call);
}

}  // namespace

ZSYNC_REPLACES pid_t waitpid(pid_t child, int* status, int options) {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_waitpid(child, status, options);
  return wait_for("waitpid", child, options, [&](int how) { return real_waitpid(child, status, how); });
}

ZSYNC_REPLACES pid_t wait(int* status) { return ::waitpid(-1, status, 0); }

extern "C" pid_t zsync_replaces_wait4(pid_t child, int* status, int options, rusage* usage) {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_wait4(child, status, options, usage);
  return wait_for("wait4", child, options, [&](int how) { return real_wait4(child, status, how, usage); });
}

extern "C" pid_t zsync_replaces_wait3(int* status, int options, rusage* usage) {
  return zsync_replaces_wait4(-1, status, options, usage);
}

ZSYNC_REPLACES int waitid(idtype_t type, id_t id, siginfo_t* found, int options) {
  if ((options & WNOHANG) != 0 || !on_fiber()) return real_waitid(type, id, found, options);
  siginfo_t seen{};  // says by a process number of 0 that there is nothing yet
  const int error = errno;
  // -1, 0 for nothing, or 1.
  const auto look = [&] {
    seen = {};
    if (real_waitid(type, id, &seen, options | WNOHANG) != 0) return -1;
    if (seen.si_pid == 0) return 0;
    errno = error;
    if (found == nullptr) return 1;
    if (!detail::can_write(found)) {
      errno = EFAULT;
      return -1;
    }
    *found = seen;
    return 1;
  };
  if (const int n = look(); n != 0) return std::min(n, 0);
  const wait_ahead ahead("waitid");
  if ((options & (WSTOPPED | WCONTINUED)) == 0 && (type == P_PID || type == P_PIDFD)) {
    const waited how = type == P_PID ? await_end_of(static_cast<pid_t>(id)) : await_end(static_cast<int>(id));
    if (how == waited::in_vain) return -1;
    errno = error;
    if (const int n = how == waited::until_ended ? look() : 0; n != 0) return std::min(n, 0);
  }
  errno = error;
  return elsewhere([&] { return real_waitid(type, id, found, options); }, -1, lasting::until_another_call);
}

ZSYNC_REPLACES pid_t __wait(int* status) { return ::wait(status); }
ZSYNC_REPLACES pid_t __waitpid(pid_t child, int* status, int options) {
  return ::waitpid(child, status, options);
}

// ---- threads ----

namespace {

// Whoever joins goes on when the thread has ended, and not before: it may use what is on the caller's stack.
int join_for_certain(pthread_t thread, void** result) {
  int status = 0;
  const auto join = [&] { status = real_pthread_join(thread, result); };
  detail::blocking_job<void, const decltype(join)> job(join);
  job.unbounded = true;
  try {
    detail::run_blocking_for_certain(job);
    return status;
  } catch (const std::system_error&) {  // for want of a thread
  } catch (const std::bad_alloc&) {
  }
  constexpr std::chrono::milliseconds longest{16};
  for (std::chrono::milliseconds nap{1};; nap = std::min(2 * nap, longest)) {
    status = ::pthread_tryjoin_np(thread, result);
    if (status != EBUSY) return status;
    detail::wait w(detail::wait_kind::sleep, nullptr, detail::wait::uncancellable | detail::wait::unscoped);
    if (w.open()) w.suspend(zsync::deadline::after(nap));
  }
}

}  // namespace

ZSYNC_REPLACES int pthread_join(pthread_t thread, void** result) {
  if (!on_fiber()) return real_pthread_join(thread, result);
  if (::pthread_equal(thread, ::pthread_self()) != 0) return EDEADLK;
  if (const int error = ::pthread_tryjoin_np(thread, result); error != EBUSY) return error;
  const wait_ahead ahead("pthread_join");
  const int error = errno;
  const int status = join_for_certain(thread, result);
  errno = error;
  return status;
}

// ---- a child that no handler of pthread_atfork() has seen ----

ZSYNC_REPLACES pid_t _Fork() noexcept {
  const pid_t child = real__Fork();
  if (child == 0 && active()) {
    detail::note_forked();
    detail::forget_mode_holders();
  }
  return child;
}
