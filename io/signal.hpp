// Signals, as something that a fiber waits for.
#pragma once

#include <zsync/io/stream.hpp>

#include <csignal>
#include <initializer_list>
#include <memory>
#include <system_error>

namespace zsync {

// While it lives, the given signals are delivered here, whichever thread they hit, instead of doing what they
// did before. Several sets may have the same signal: each gets it. Like the kernel's own, a signal that comes
// again before it was taken may count once.
//
// At most 64 sets at a time in a process: signal handlers are the process's, so this is one of the few things
// here that are not a runtime's own.
class signal_set : public descriptor_owner {
 public:
  // Throws std::system_error for a signal that cannot be caught.
  signal_set(std::initializer_list<int> signals);
  signal_set(signal_set&&) noexcept;
  signal_set& operator=(signal_set&&) noexcept;
  ~signal_set();

  // Waits for a signal and returns its number. Fibers, plain threads; several at a time share the signals.
  int next();
  int next(std::error_code& ec);  // 0 with an error

 private:
  struct registration;
  std::unique_ptr<registration> registration_;
};

}  // namespace zsync
