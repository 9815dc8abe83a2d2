#include <zsync/sched/task.hpp>

#include <zsync/sched/local.hpp>
#include <zsync/sched/worker.hpp>

#include <cstdio>
#include <mutex>
#include <new>
#include <system_error>

namespace zsync::detail {
namespace {

// There may be no memory for the error's text either.
std::exception_ptr no_stack() noexcept try {
  return std::make_exception_ptr(
      std::system_error(std::make_error_code(std::errc::not_enough_memory), "no stack for another fiber"));
} catch (const std::bad_alloc&) {
  return std::current_exception();
}

}  // namespace

void* task::operator new(std::size_t size, std::align_val_t alignment) {
  return ::operator new(size, alignment);
}

// Clang has the sized form of the global one only on request.
void task::operator delete(void* block, std::size_t /*size*/, std::align_val_t alignment) noexcept {
  ::operator delete(block, alignment);
}

[[gnu::flatten]] void* task::operator new(std::size_t size) {
  worker* const here = current_worker();
  return here == nullptr ? ::operator new(block_store::block_size(size)) : here->blocks().allocate(size);
}

[[gnu::flatten]] void task::operator delete(void* block, std::size_t size) noexcept {
  if (worker* const here = current_worker(); here != nullptr) {
    here->blocks().deallocate(block, size);
  } else {
    ::operator delete(block);
  }
}

[[gnu::flatten]] wake_cause task::wait_done(std::uint32_t accepts, deadline until, bool& scope_expired) {
  scope_expired = false;
  if (done_or_run_in_place(accepts, until)) {
    checker::acquire(&done_);
    return wake_cause::notified;
  }
  std::unique_lock hold(guard_);
  if (done_.load(std::memory_order_relaxed)) {
    checker::acquire(&done_);
    return wake_cause::notified;
  }
  wait end(wait_kind::join, this, accepts);
  // Not done, so its worker is there. A thread between two polls of its loop would wait for itself.
  if (end.party().plain_thread && !has_no_time(accepts, until)) [[unlikely]] {
    if (worker& w = *home.load(std::memory_order_relaxed); w.rests_with_this_thread()) {
      hold.unlock();
      const driving_to_wait meanwhile(w);
      return wait_done(accepts, until, scope_expired);
    }
  }
  if (!end.open()) return end.cause();
  waiter me(end);
  joiners_.push_back(me);
  hold.unlock();
  const wake_cause why = end.suspend(until);
  if (why == wake_cause::notified) return why;
  hold.lock();
  joiners_.remove(me);
  scope_expired = end.scope_expired();
  return why;
}

// What ends a wait before it begins is left to the wait.
bool task::done_or_run_in_place(std::uint32_t accepts, deadline until) noexcept {
  if (done_.load(std::memory_order_acquire)) return true;
  worker* const here = current_worker();
  if (here == nullptr) return false;
  const fiber_control& self = here->current();
  if (&self == this) misuse("a fiber joins itself");
  if ((accepts & wait::unscoped) == 0 && self.deadlines != nullptr)
    until = tightest(until, self.deadlines->until);
  if (!until.is_never() && until.has_passed()) return false;
  if ((accepts & wait::cancellable) != 0 && self.shields == 0 && self.cancel_requested()) return false;
  if (!here->begin_in_place(*this)) return false;
  const bool ended = done_.load(std::memory_order_relaxed);
  if (ended && joined_here) release_one_of_two();
  joined_here = false;
  return ended;
}

bool task::done() const noexcept {
  if (!done_.load(std::memory_order_acquire)) return false;
  checker::acquire(&done_);
  return true;
}

bool task::done_or_queue(waiter& w) noexcept {
  const std::lock_guard hold(guard_);
  if (done_.load(std::memory_order_relaxed)) {
    checker::acquire(&done_);
    return true;
  }
  joiners_.push_back(w);
  return false;
}

void task::remove(waiter& w) noexcept {
  const std::lock_guard hold(guard_);
  joiners_.remove(w);
}

bool task::end_wait_by_cancelling() noexcept {
  checker::release(&cause);
  if (!request_cancel()) return false;
  cause = wake_cause::cancelled;
  return true;
}

void task::cancel() noexcept {
  if (end_wait_by_cancelling()) schedule(*this);
}

bool task::detach() noexcept {
  {
    const std::lock_guard hold(guard_);
    detached_.store(true, std::memory_order_relaxed);
    if (!over_) return false;
  }
  checker::acquire(&over_);
  if (failed()) refuse_failure();
  return true;
}

// Nobody will ask for it.
void task::refuse_failure() const noexcept {
  if (abandoned_) {
    std::fputs("zsync: a detached fiber could not start: there is no memory for its stack\n", stderr);
    return;
  }
  try {
    rethrow();
  } catch (const cancelled&) {
  } catch (...) {
    std::terminate();
  }
}

bool task::note_over() noexcept {
  checker::release(&over_);
  {
    const std::lock_guard hold(guard_);
    over_ = true;
    if (!detached_.load(std::memory_order_relaxed)) return false;
  }
  if (failed()) refuse_failure();
  return true;
}

void task::keep_exception() noexcept {
  failure_ = std::current_exception();
  if (detached_.load(std::memory_order_relaxed)) refuse_failure();  // as near to the throw as it gets
}

void task::abandon() noexcept {
  abandoned_ = true;
  failure_ = no_stack();
  on_abandon(failure_);
  {
    const outside_of_fibers here;
    drop_call();
  }
  std::ignore = note_over();
  finish();
}

[[gnu::flatten]] void task::finish() noexcept {
  if (locals != nullptr) [[unlikely]] {
    destroy_locals(locals);  // there until the last is gone, because a destructor may use and make others
    locals = nullptr;
  }
  // Counted before anybody is told, so that whoever was told finds it counted. The runtime may go on to its
  // end from here, but it waits for this worker, which is not free before the fiber has left its stack.
  current_worker()->note_end();
  on_finish();
  checker::release(&done_);
  if (joined_here) {  // by whoever has the handle, so nobody else looks
    done_.store(true, std::memory_order_release);
    return;
  }
  std::unique_lock hold(guard_);
  done_.store(true, std::memory_order_release);
  while (waiter* const w = joiners_.claim_front()) {
    parker& party = *w->party;
    if (joiners_.empty()) {  // the usual one: nothing is left to be guarded
      hold.unlock();
      schedule(party);
      return;
    }
    schedule(party);
  }
}

}  // namespace zsync::detail
