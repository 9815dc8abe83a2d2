#include <zsync/sched/this_fiber.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/sched/worker.hpp>

#include <cerrno>
#include <thread>

namespace zsync {
namespace {

detail::fiber_control* self() noexcept { return detail::current_fiber_but_root(); }

detail::fiber_control& self_or_throw() {
  if (detail::fiber_control* const fiber = self()) return *fiber;
  throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                          "the caller is not a fiber");
}

}  // namespace

bool waker::claim() const noexcept {
  if (fiber_ == nullptr) return false;
  detail::checker::release(&fiber_->cause);
  if (!fiber_->deposit_token()) return false;
  fiber_->cause = detail::wake_cause::notified;
  return true;
}

void waker::wake() const noexcept {
  if (claim()) detail::schedule(*fiber_);
}

// Even on its own worker by the inbox: the handler may have interrupted that worker in the midst of its
// queues.
void waker::wake_from_signal() const noexcept {
  const int saved_errno = errno;
  if (claim()) fiber_->home.load(std::memory_order_relaxed)->give(*fiber_);
  errno = saved_errno;
}

void detail::sleep_for_nothing() {
  this_fiber::cancellation_point();
  if (const deadline_frame* const scope = innermost_deadline(); scope != nullptr && scope->until.has_passed())
    throw std::system_error(error::deadline_expired);
  this_fiber::yield();
}

namespace this_fiber {

[[gnu::flatten]] void yield() {
  if (detail::worker* const here = detail::current_worker(); here != nullptr && !here->at_root()) {
    here->yield();
  } else {
    std::this_thread::yield();
  }
}

void sleep_until(deadline until) {
  using detail::wait;
  if (until.has_passed()) return detail::sleep_for_nothing();
  wait nap(detail::wait_kind::sleep, nullptr, wait::cancellable);
  if (!nap.open()) detail::throw_cancelled();
  const detail::wait_end end = nap.suspend(until);
  if (nap.scope_expired() && nap.until() == until) return;  // its own deadline is what it waited for
  std::ignore = end.or_throw();
}

bool park_until(deadline until) {
  using detail::wait;
  self_or_throw();
  wait rest(detail::wait_kind::park, nullptr, wait::wakeable | wait::cancellable);
  if (rest.open()) return rest.suspend(until).or_throw();
  if (rest.cause() == detail::wake_cause::cancelled) detail::throw_cancelled();
  return true;
}

void park() { std::ignore = park_until(deadline::never()); }

waker get_waker() { return waker(self_or_throw()); }

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
