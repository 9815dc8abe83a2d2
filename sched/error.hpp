// What ends a wait other than success.
#pragma once

#include <system_error>

namespace zsync {

// What std::errc has no word for. An error-code enum: `ec == zsync::error::closed` compiles.
enum class error {
  closed = 1,           // this end was closed while, or before, somebody used it
  unexpected_eof,       // the stream ended before all that was asked for had arrived
  no_such_host,         // the name does not resolve
  bad_address,          // the text is not an address
  limit_exceeded,       // more arrived than the caller allowed
  backend_unavailable,  // the I/O backend asked for by name is not to be had here
  deadline_expired,     // a deadline_scope ended the call; also compares equal to std::errc::timed_out
};

const std::error_category& error_category() noexcept;
std::error_code make_error_code(error e) noexcept;

// Thrown by a wait in a fiber whose cancellation was requested. It derives from nothing, so that
// `catch (const std::exception&)` does not swallow it. It may be caught; the next wait throws it again.
struct cancelled {};

namespace detail {

// Misuse ends the program with a message that names the fiber. It is never handled.
[[noreturn]] void misuse(const char* what) noexcept;

}  // namespace detail
}  // namespace zsync

template <>
struct std::is_error_code_enum<zsync::error> : std::true_type {};
