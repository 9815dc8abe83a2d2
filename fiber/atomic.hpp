// What the lock-free pieces are made of. By another name, so that tests/explore can put its own in their
// place and run the same source through all the orders that the memory model allows.
#pragma once

#if defined(ZSYNC_EXPLORE)
#include ZSYNC_EXPLORE

namespace zsync::detail {
template <class T>
using atomic = explore::atomic<T>;
template <class T>
using plain = explore::plain<T>;
}  // namespace zsync::detail

#else
#include <atomic>

namespace zsync::detail {
template <class T>
using atomic = std::atomic<T>;
// Not atomic, and passed between threads by what is.
template <class T>
using plain = T;
}  // namespace zsync::detail
#endif
