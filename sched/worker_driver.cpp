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
  const pthread_t self = ::pthread_self();
  if (attached_ && ::pthread_equal(thread_.load(std::memory_order_relaxed), self) == 0)
    misuse("a loop is driven by another thread than the first that drove it");
  thread_.store(self, std::memory_order_relaxed);  // before anybody may signal it
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
  const bool sent = ::pthread_kill(thread_.load(std::memory_order_relaxed), signal) == 0;
  driver_.store(driver::thread, std::memory_order_release);
  return sent;
}

// Whoever finds his own name has written it, and so knows the rest as well. The driver is `thread` where the
// caller is within the worker and only counts as a plain thread.
bool worker::rests_with_this_thread() const noexcept {
  if (::pthread_equal(thread_.load(std::memory_order_relaxed), ::pthread_self()) == 0) return false;
  const driver now = driver_.load(std::memory_order_relaxed);
  return attached_ && now != driver::thread && now != driver::signalled;
}

}  // namespace zsync::detail
