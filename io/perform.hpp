// Carries out one operation on a descriptor, from a fiber or a plain thread, waiting where it would block.
#pragma once

#include <zsync/io/descriptor.hpp>
#include <zsync/io/op.hpp>
#include <zsync/sched/wait.hpp>

#include <system_error>

namespace zsync::detail {

// Waits until `o` is done, at most for `timeout` nanoseconds and no longer than the tightest deadline scope.
// Success leaves the result in `o`; otherwise operation_canceled, timed_out for `timeout`,
// error::deadline_expired for a scope, error::closed, or what the kernel said. What the kernel has done wins
// over whatever else ends the wait, so that nothing it moved is lost.
[[nodiscard]] std::error_code perform(descriptor& d, op& o, wait_kind why,
                                      clock::rep timeout = descriptor::no_timeout.count());

// The same for what needs no descriptor of ours, because it never blocks on readiness: files. On an engine
// that completes it is the kernel's work, elsewhere a helper thread's.
[[nodiscard]] std::error_code perform_on_file(int fd, op& o);

// Sleeps; a cancellation point. Empty, operation_canceled, or error::deadline_expired.
[[nodiscard]] std::error_code pause(clock::duration d);

// What a wait that was not notified means.
[[nodiscard]] std::error_code why_ended(const wait& w) noexcept;

// Throws `cancelled`, or std::system_error with `what`.
[[noreturn]] void fail(std::error_code ec, const char* what);

inline void throw_if(std::error_code ec, const char* what) {
  if (ec) [[unlikely]]
    fail(ec, what);
}

}  // namespace zsync::detail
