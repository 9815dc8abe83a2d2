#include <zsync/sched/blocking.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/fork.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/simulator.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <mutex>
#include <system_error>

namespace zsync::detail {

void helper_job::run() noexcept {
  call();
  check_not_forked();  // the call may have forked, and then there is nobody here to go on with
  std::unique_lock hold(lock_);
  checker::release(&done_);
  done_ = true;
  waiter* const w = waiting_.claim_front();
  parker* const woken = w == nullptr ? nullptr : w->party;
  hold.unlock();
  if (woken != nullptr) schedule(*woken);
}

wake_cause helper_job::wait_done(std::uint32_t accepts) {
  std::unique_lock hold(lock_);
  if (done_) {
    checker::acquire(&done_);
    return wake_cause::notified;
  }
  wait end(wait_kind::blocking, this, accepts);
  if (!end.open()) return end.cause();
  waiter me(end);
  waiting_.push_back(me);
  hold.unlock();
  if (end.suspend() == wake_cause::notified) return wake_cause::notified;
  hold.lock();
  waiting_.remove(me);
  if (done_) checker::acquire(&done_);
  return done_ ? wake_cause::notified : end.cause();
}

void run_blocking(helper_job& job) {
  worker* const here = current_worker();
  if (here == nullptr) return job.run();
  this_fiber::cancellation_point();
  if (simulator* const simulated = simulator::of_thread()) return simulated->run_blocking(job);
  helper_pool& helpers = here->owner().helpers();
  helpers.submit(job);
  const wake_cause why = job.wait_done(wait::cancellable);
  if (why == wake_cause::notified) return;
  if (!helpers.take_back(job)) {  // too late: it runs
    job.wait_done(wait::uncancellable | wait::unscoped);
    return;
  }
  if (why == wake_cause::cancelled) throw_cancelled();
  throw std::system_error(error::deadline_expired);
}

void run_blocking_for_certain(helper_job& job) {
  worker* const here = current_worker();
  if (here == nullptr) return job.run();
  if (simulator* const simulated = simulator::of_thread()) return simulated->run_blocking(job);
  here->owner().helpers().submit(job);
  job.wait_done(wait::uncancellable | wait::unscoped);
}

}  // namespace zsync::detail
