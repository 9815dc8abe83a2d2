// The porting report: which calls blocked a worker although this library is there, from where, how often and
// how long. On with ZSYNC_REPORT=1 in the environment; written to stderr when the program ends.
#pragma once

#include <chrono>

namespace zsync::interpose {

// Lives while a fiber is in a call that blocks its worker. Counts if it took a millisecond or more.
class blocking_call {
 public:
  blocking_call(const char* name, const void* caller) noexcept;
  ~blocking_call();
  blocking_call(const blocking_call&) = delete;
  blocking_call& operator=(const blocking_call&) = delete;

 private:
  const char* const name_;  // nullptr: not on a fiber, or nobody wants a report
  const void* const caller_;
  std::chrono::steady_clock::time_point begin_{};
};

}  // namespace zsync::interpose
