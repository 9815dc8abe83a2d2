// What the forms of a call that end at a deadline, or after a duration, have in common.
#pragma once

#include <zsync/timer/deadline.hpp>

#include <chrono>

namespace zsync::detail {

// When the call has to end. A duration begins here: so a call that asks only once it has to wait does not
// read the clock otherwise, which takes longer than a message does.
inline deadline deadline_of(deadline until) noexcept { return until; }
template <class Rep, class Period>
deadline deadline_of(std::chrono::duration<Rep, Period> at_most) {
  return deadline::after(at_most);
}

}  // namespace zsync::detail
