// Which thread drives a worker, and how others reach that thread.
//
//            begin_driving()               signal_driver()
//   nobody --> changing --> thread <----------------------> signalled
//     |  ^                    |
//     |  '--------------------'  end_driving()
//     '--> lister --> nobody     list_if_parked(), which does what the worker would do itself
//
// Each transition that takes the word acquires what the release of the one before wrote: all that belongs to
// the worker's thread is handed on by it, from thread to lister and back.
#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>

#include <thread>

namespace zsync::detail {

// Who drives a worker changes hands rarely, so whoever comes second waits in line.
void worker::begin_driving() noexcept {
  auto nobody = driver::nobody;
  while (!driver_.compare_exchange_weak(nobody, driver::changing, std::memory_order_acq_rel)) {
    if (nobody == driver::thread)
      misuse("a loop is driven while it is driven: by a fiber of its own, or by two threads");
    nobody = driver::nobody;
    std::this_thread::yield();
  }
  // Fibers that have started, and a ring in the kernel, stay with the thread that they began on.
  if (attached_ && thread_number_.load(std::memory_order_relaxed) != this_thread_number())
    misuse("a loop is driven by another thread than the first that drove it");
  thread_ = ::pthread_self();  // before anybody may signal it
  thread_number_.store(this_thread_number(), std::memory_order_relaxed);
  driver_.store(driver::thread, std::memory_order_release);
}

void worker::end_driving() noexcept {
  auto thread = driver::thread;
  while (!driver_.compare_exchange_weak(thread, driver::nobody, std::memory_order_acq_rel)) {
    thread = driver::thread;
    std::this_thread::yield();
  }
}

bool worker::signal_driver(int signal) noexcept {
  auto thread = driver::thread;
  if (!driver_.compare_exchange_strong(thread, driver::signalled, std::memory_order_acq_rel)) return false;
  const bool sent = ::pthread_kill(thread_, signal) == 0;
  driver_.store(driver::thread, std::memory_order_release);
  return sent;
}

// Who finds its own number has written it, and so knows the rest as well. The driver is `thread` where the
// caller is within the worker and only counts as a plain thread.
bool worker::rests_with_this_thread() const noexcept {
  if (thread_number_.load(std::memory_order_relaxed) != this_thread_number()) return false;
  const driver now = driver_.load(std::memory_order_relaxed);
  return attached_ && now != driver::thread && now != driver::signalled;
}

}  // namespace zsync::detail
