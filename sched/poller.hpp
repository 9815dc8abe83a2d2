// What a worker needs of the kernel: to sleep until something happens, and to be woken from that sleep.
#pragma once

#include <zsync/sched/options.hpp>
#include <zsync/timer/deadline.hpp>

#include <memory>

namespace zsync::detail {

// Declared here and implemented in io/, because an idle worker must sleep in the kernel while sockets park
// fibers. One poller belongs to one worker; only wake() may be called by other threads.
class poller {
 public:
  virtual ~poller() = default;

  // On the worker's own thread, before anything else.
  virtual void attach() {}

  // The worker's only blocking call: makes ready whoever's I/O came to an end (claim, then schedule), and
  // returns once there was any, once woken, or at the deadline. A deadline that has passed only looks.
  virtual void wait(deadline until) = 0;

  // Ends a wait() that runs now, or the next one. Any thread; also from a signal handler.
  virtual void wake() noexcept = 0;

  // Readable when wait() would have something to do.
  [[nodiscard]] virtual int native_handle() const noexcept = 0;
};

// Turns `automatic` into what this machine has, saying once on stderr if that is not the best. Throws
// std::system_error if a backend asked for by name cannot be had.
io_backend choose_backend(io_backend asked);

// `backend` is a result of choose_backend(). Throws std::system_error.
std::unique_ptr<poller> make_poller(io_backend backend);

}  // namespace zsync::detail
