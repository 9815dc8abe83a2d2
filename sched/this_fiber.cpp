#include <zsync/sched/this_fiber.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <cerrno>
#include <thread>

namespace zsync {
namespace {

// The calling fiber, but not the root of a loop, which is its caller's thread.
detail::fiber_control* self() noexcept {
  detail::worker* const here = detail::current_worker();
  return here == nullptr || here->at_root() ? nullptr : &here->current();
}

detail::fiber_control& self_or_throw() {
  if (detail::fiber_control* const fiber = self()) return *fiber;
  throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                          "the caller is not a fiber");
}

}  // namespace

waker make_waker(detail::fiber_control& fiber) noexcept {
  fiber.retain();
  waker w;
  w.fiber_ = &fiber;
  return w;
}

void waker::wake() const noexcept {
  if (fiber_ == nullptr) return;
  detail::checker::release(&fiber_->cause);
  if (!fiber_->deposit_token()) return;
  fiber_->cause = detail::wake_cause::notified;
  detail::schedule(*fiber_);
}

void waker::wake_from_signal() const noexcept {
  if (fiber_ == nullptr) return;
  detail::checker::release(&fiber_->cause);
  if (!fiber_->deposit_token()) return;
  fiber_->cause = detail::wake_cause::notified;
  // Even on its own worker: the handler may have interrupted that worker in the midst of its queues.
  const int saved_errno = errno;
  fiber_->home.load(std::memory_order_relaxed)->give(*fiber_);
  errno = saved_errno;
}

namespace this_fiber {

[[gnu::flatten]] void yield() {
  if (detail::worker* const here = detail::current_worker(); here != nullptr && !here->at_root()) {
    here->yield();
  } else {
    std::this_thread::yield();
  }
}

void detail_::sleep(deadline until) {
  using detail::wait;
  if (until.has_passed()) return sleep_for_nothing();
  wait nap(detail::wait_kind::sleep, nullptr, wait::cancellable);
  if (!nap.open()) nap.throw_unless_notified();
  nap.suspend(until);
  // Its own deadline is what it waited for.
  if (nap.cause() != detail::wake_cause::timed_out || (nap.scope_expired() && nap.until() < until))
    nap.throw_unless_notified();
}

void detail_::sleep_for_nothing() {
  cancellation_point();
  if (const detail::deadline_frame* const scope = detail::innermost_deadline();
      scope != nullptr && scope->until.has_passed())
    throw std::system_error(error::deadline_expired);
  yield();
}

bool detail_::park(deadline until) {
  using detail::wait;
  self_or_throw();
  wait rest(detail::wait_kind::park, nullptr, wait::wakeable | wait::cancellable);
  if (rest.open()) rest.suspend(until);
  if (rest.cause() == detail::wake_cause::timed_out && !rest.scope_expired()) return false;
  rest.throw_unless_notified();
  return true;
}

void park() { detail_::park(deadline::never()); }

waker get_waker() { return make_waker(self_or_throw()); }

fiber_id get_id() noexcept {
  const detail::fiber_control* const fiber = self();
  return fiber_id{fiber == nullptr ? 0 : fiber->id};
}

std::string_view name() noexcept {
  const detail::fiber_control* const fiber = self();
  return fiber == nullptr || fiber->name == nullptr ? std::string_view{} : std::string_view{*fiber->name};
}

void set_name(std::string_view name) {
  if (detail::fiber_control* const fiber = self()) fiber->name = std::make_unique<std::string>(name);
}

bool inside() noexcept { return self() != nullptr; }

bool cancellation_requested() noexcept {
  const detail::fiber_control* const fiber = self();
  if (fiber == nullptr || fiber->shields != 0 || !fiber->cancel_requested()) return false;
  detail::checker::acquire(&fiber->cause);
  return true;
}

void cancellation_point() {
  if (cancellation_requested()) detail::throw_cancelled();
}

}  // namespace this_fiber
}  // namespace zsync
