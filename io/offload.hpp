// Calls that block on something other than readiness, on a helper thread, with the forms of io/.
#pragma once

#include <zsync/sched/blocking.hpp>
#include <zsync/sched/error.hpp>

#include <cerrno>
#include <system_error>

namespace zsync::detail {

// Runs f, a call that returns a negative number and sets errno, while the fiber waits. Once it has begun, the
// wait lasts until it ends.
template <class F>
auto offload(std::error_code& ec, F f) -> decltype(f()) {
  int error = 0;
  ec.clear();
  try {
    const auto result = blocking([&] {
      const auto value = f();
      if (value < 0) error = errno;
      return value;
    });
    if (error != 0) ec = {error, std::system_category()};
    return result;
  } catch (const cancelled&) {
    ec = std::make_error_code(std::errc::operation_canceled);
  } catch (const std::system_error& e) {
    // blocking() itself waits only as scopes allow.
    ec = e.code() == std::errc::timed_out ? make_error_code(error::deadline_expired) : e.code();
  }
  return -1;
}

}  // namespace zsync::detail
