// A dump whenever a signal asks for it.
#pragma once

#include <memory>

namespace zsync {

// While it lives, `signal` writes a dump of all runtimes of the process to `descriptor`, and the program goes
// on:
//
//     const zsync::dump_on quit(SIGQUIT);  // Ctrl-\, or kill -QUIT
//
// The handler only wakes a thread of this object's own, so the dump comes while workers are stuck as well;
// what they run is told then (see runtime::dump). Signals that come during a dump are answered by another
// one. After a fork, the child has the signal's default. One for each signal; destroyed, it puts the former
// handler back.
//
// `descriptor` has to stay open as long as the object lives; it may be non-blocking. The destructor waits
// until the signals that came have been answered, but not for whoever reads that: what is not read for 100 ms
// then is dropped. Any thread may make and destroy one; those of the same signal do it one after the other.
class dump_on {
 public:
  // Throws std::system_error: no thread or descriptors, a signal that cannot be handled, or one that another
  // of these has (errc::device_or_resource_busy).
  explicit dump_on(int signal, int descriptor = 2);
  ~dump_on();
  dump_on(const dump_on&) = delete;
  dump_on& operator=(const dump_on&) = delete;

 private:
  class watch;

  std::unique_ptr<watch> watch_;
};

}  // namespace zsync
