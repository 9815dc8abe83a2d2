// What a simulation (io/sim) replaces beneath the runtimes of its thread: the kernel and the helper threads.
// Their clock is replaced in timer/, and who runs next is chosen by worker::carry_out(). Not a public header.
#pragma once

#include <zsync/sched/poller.hpp>

#include <memory>

namespace zsync::detail {

class helper_job;
class simulated_network;  // io/simulated.hpp

class simulator {
 public:
  // The one that runs on the calling thread; nullptr: time and the kernel are real.
  static simulator* of_thread() noexcept;

  virtual std::unique_ptr<poller> make_poller(io_backend backend) = 0;
  virtual void run_blocking(helper_job& job) = 0;  // by a fiber
  virtual simulated_network& network() noexcept = 0;

 protected:
  simulator() noexcept;    // begins to run on the calling thread, which has none
  void let_go() noexcept;  // of the thread
  ~simulator() = default;
  simulator(const simulator&) = delete;
  simulator& operator=(const simulator&) = delete;
};

}  // namespace zsync::detail
