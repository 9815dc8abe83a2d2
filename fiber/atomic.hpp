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
using explore::full_fence;
}  // namespace zsync::detail

#else
#include <atomic>

namespace zsync::detail {
template <class T>
using atomic = std::atomic<T>;
// Not atomic, and passed between threads by what is.
template <class T>
using plain = T;
// Of two threads that each store, pass one, and load what the other has stored, one sees the other.
inline void full_fence() noexcept { std::atomic_thread_fence(std::memory_order_seq_cst); }
}  // namespace zsync::detail
#endif
