#include <zsync/sched/loop.hpp>

#include <zsync/sched/scheduler.hpp>

namespace zsync {
namespace {

runtime_options single(runtime_options options) {
  options.workers = 1;
  return options;
}

}  // namespace

loop::loop(runtime_options options) : executor(single(std::move(options)), 1) {}

// With no fiber left there is nothing to drive: so whoever made it may end it, whichever thread has driven
// it.
loop::~loop() {
  if (scheduler_().alive() == 0) return;
  const detail::driving here(worker_());
  scheduler_().end();
}

detail::worker& loop::worker_() const noexcept { return scheduler_().at(0); }

std::size_t loop::poll() {
  const detail::driving here(worker_());
  return worker_().run_round();
}

std::size_t loop::run_for(std::chrono::nanoseconds budget) {
  const detail::driving here(worker_());
  return worker_().run_ready(budget > budget.zero() ? deadline::after(budget) : deadline::passed());
}

std::size_t loop::run_until_idle() {
  const detail::driving here(worker_());
  return worker_().run_ready(deadline::never());
}

void loop::run() {
  const detail::driving here(worker_());
  while (!stop_.exchange(false, std::memory_order_acq_rel) && scheduler_().alive() != 0) {
    worker_().run_ready(deadline::never(), &stop_);
    // A look at the kernel may have used up stop()'s wake-up, so its word is asked for once more.
    if (scheduler_().alive() != 0 && !stop_.load(std::memory_order_acquire)) worker_().block();
  }
}

bool loop::shutdown(std::chrono::nanoseconds grace) {
  const detail::driving here(worker_());
  return executor::shutdown(grace);
}

void loop::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  worker_().wake();
}

int loop::native_handle() const noexcept { return worker_().io().native_handle(); }

std::optional<clock::time_point> loop::next_deadline() const noexcept {
  const deadline next = worker_().timers().next();
  return next.is_never() ? std::nullopt : std::optional(next.time());
}

}  // namespace zsync
