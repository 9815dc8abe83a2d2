// Waiting for several descriptors at once.
#pragma once

#include <zsync/timer/deadline.hpp>

#include <poll.h>

#include <span>
#include <system_error>

namespace zsync::detail {

// As poll(2), from a fiber or thread: fills in `revents` and returns how many are not empty; 0 once `until`
// has passed, and on a thread perhaps earlier. A cancellation point; a deadline scope that ends sooner is
// timed_out.
int poll_many(std::span<pollfd> set, deadline until, std::error_code& ec);

}  // namespace zsync::detail
