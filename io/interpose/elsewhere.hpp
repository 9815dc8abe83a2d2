// Calls that nothing can divide into trying and waiting: a helper thread makes them while the fiber waits.
#pragma once

#include <zsync/io/errno_here.hpp>
#include <zsync/sched/blocking.hpp>
#include <zsync/sched/error.hpp>

#include <netdb.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <system_error>

namespace zsync::interpose {

// How long such a call may last.
enum class lasting : std::uint8_t {
  a_while,             // it ends by itself: 64 at once, and further ones queue
  until_another_call,  // perhaps until one that is yet to come, so that it gets a thread at once: 4096 of
                       // them
};

// What f() returns, on a fiber, with errno and h_errno as f leaves them; `unless` if it could not be begun,
// with errno: because the fiber is cancelled or out of time, or for want of a thread (ENOMEM). Once begun,
// the wait lasts until f returns.
template <class F, class T>
T elsewhere(F f, T unless, lasting how_long = lasting::a_while) noexcept {
  T result = unless;
  int error = errno;
  int resolver_error = h_errno;
  const auto call = [&] {
    errno = error;
    result = f();
    error = errno;
    resolver_error = h_errno;
  };
  detail::blocking_job<void, const decltype(call)> job(call);
  job.unbounded = how_long == lasting::until_another_call;
  int why = 0;
  try {
    detail::run_blocking(job);
  } catch (const cancelled&) {
    why = ECANCELED;
  } catch (const std::system_error& e) {
    why = e.code() == std::errc::timed_out ? ETIMEDOUT : ENOMEM;
  } catch (const std::bad_alloc&) {
    why = ENOMEM;
  }
  errno = why != 0 ? why : error;
  h_errno = resolver_error;
  return why != 0 ? unless : result;
}

}  // namespace zsync::interpose
