// Ctrl-C: the first one asks, the second one does not.
#pragma once

#include <functional>
#include <thread>

namespace samples {

// While it lives, the first SIGINT or SIGTERM of the process calls `on_first`, on a thread of its own, and
// leaves the next one to the default action, which ends the process at once. One at a time in a process.
class interrupt_watch {
 public:
  explicit interrupt_watch(std::function<void()> on_first);
  ~interrupt_watch();
  interrupt_watch(const interrupt_watch&) = delete;
  interrupt_watch& operator=(const interrupt_watch&) = delete;

 private:
  std::thread thread_;
};

}  // namespace samples
