// Calls that nothing can divide into trying and waiting: a helper thread makes them while the fiber waits.
#pragma once

#include <zsync/io/offload.hpp>
#include <zsync/io/posix_call.hpp>

#include <netdb.h>

#include <cerrno>
#include <new>
#include <system_error>

namespace zsync::interpose {

// What f() returns, on a fiber, with errno and h_errno as f leaves them; `unless` if it could not be begun,
// with errno. Once begun, the wait lasts until f returns.
template <class F, class T>
T elsewhere(F f, T unless) noexcept {
  T result = unless;
  int error = errno;
  int resolver_error = h_errno;
  std::error_code ec;
  try {
    detail::offload(ec, [&] {
      errno = error;
      result = f();
      error = errno;
      resolver_error = h_errno;
      return 0;
    });
  } catch (const std::bad_alloc&) {
    ec = std::make_error_code(std::errc::not_enough_memory);
  }
  errno = ec ? posix::detail_::to_errno(ec) : error;
  h_errno = resolver_error;
  return ec ? unless : result;
}

}  // namespace zsync::interpose
