#include <zsync/sched/wait.hpp>

#include <zsync/sched/error.hpp>
#include <zsync/sched/fork.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

namespace zsync::detail {
namespace {

// A plain thread that waits: one of each thread, for it is in one wait at a time. A waker may still be within
// wake() when the next wait begins, but then it only unlocks.
class thread_parker : public parker {
 public:
  thread_parker() : parker(true) {}

  void begin() noexcept {
    const std::lock_guard hold(mutex_);
    woken_ = false;
  }

  void wake() noexcept {
    const checker::unseen writing;  // to another thread's stack, where all stays while it waits
    const std::lock_guard hold(mutex_);
    woken_ = true;
    woke_.notify_one();
  }

  // False: not woken by then.
  bool sleep(deadline until) noexcept {
    std::unique_lock hold(mutex_);
    const auto woken = [this] { return woken_; };
    if (until.is_never()) {
      woke_.wait(hold, woken);
      return true;
    }
    // A steady clock of the standard library's own, and in a simulation of time there are no plain threads.
    // An hour at a time, because the library adds it to that clock's present, which must not overflow.
    while (!woken_) {
      const clock::duration left = until.remaining();
      if (left == left.zero()) return false;
      woke_.wait_for(hold, std::min<clock::duration>(left, std::chrono::hours{1}), woken);
    }
    return true;
  }

 private:
  std::mutex mutex_;
  std::condition_variable woke_;
  bool woken_ = false;  // mutex_
};

// Never destroyed: destructors of other thread-locals may wait.
thread_parker& parker_of_thread() noexcept {
  union kept {
    kept() : parker() {}
    ~kept() {}
    thread_parker parker;
  };
  thread_local kept own;
  return own.parker;
}

[[gnu::noinline]] void wake_thread(parker& claimed) noexcept { static_cast<thread_parker&>(claimed).wake(); }

}  // namespace

parker& thread_party() noexcept {
  thread_parker& own = parker_of_thread();
  own.begin();
  return own;
}

bool wait::open() noexcept {
  std::uint32_t accepts = accepts_ & (parker::cancellable | parker::wakeable);
  if (!party_->plain_thread && static_cast<fiber_control*>(party_)->shields != 0)
    accepts &= ~std::uint32_t{parker::cancellable};
  switch (party_->arm(accepts)) {
    case arm_result::open:
      return true;
    case arm_result::notified:
      checker::acquire(&party_->cause);
      party_->cause = wake_cause::notified;
      return false;
    case arm_result::cancelled:
      checker::acquire(&party_->cause);
      party_->cause = wake_cause::cancelled;
      return false;
  }
  return false;
}

[[gnu::flatten]] wake_cause wait::sleep(deadline until) noexcept {
  if (party_->plain_thread) [[unlikely]] {
    until_ = until;
    suspend_thread();
  } else {
    auto& fiber = static_cast<fiber_control&>(*party_);
    if ((accepts_ & unscoped) == 0 && fiber.deadlines != nullptr) scope_ = fiber.deadlines->until;
    until_ = tightest(until, scope_);
    suspend_fiber(fiber);
  }
  if (party_->cause != wake_cause::timed_out) checker::acquire(&party_->cause);
  return party_->cause;
}

void wait::suspend_thread() noexcept {
  check_not_forked();
  if ((accepts_ & unscoped) == 0) {
    if (const deadline_frame* const scope = innermost_deadline(); scope != nullptr) scope_ = scope->until;
  }
  until_ = tightest(until_, scope_);
  auto& own = static_cast<thread_parker&>(*party_);
  if (!own.sleep(until_)) time_out();
  own.sleep(deadline::never());  // whoever won the claim wakes us, be it ourselves
}

void wait::suspend_fiber(fiber_control& fiber) noexcept {
  worker& here = *fiber.home.load(std::memory_order_relaxed);  // while it runs
  fiber.waiting_in = this;
  fiber.anchored = (accepts_ & anchored) != 0;
  since_ = here.roughly_now();
  if (!until_.is_never()) start_timer(here);
  here.suspend();
  // The fiber may be on another worker now; if so, its timer was stopped where it stood.
  if (queued()) current_worker()->timers().cancel(*this);
  fiber.waiting_in = nullptr;
}

void wait::start_timer(worker& here) noexcept {
  // What the worker takes for the time is as old as its last look at the clock: for what is near, look again.
  constexpr std::chrono::milliseconds near{1};
  if (until_.time() <= since_ || (until_.time() - since_ < near && until_.has_passed())) return time_out();
  const checker::unseen the_queue;
  here.timers().add(*this, until_);
}

void wait::time_out() noexcept {
  if (!party_->claim()) return;
  party_->cause = wake_cause::timed_out;
  scope_expired_ = until_ == scope_;
  schedule(*party_);
}

void wait::expire(timer_node& node) noexcept { static_cast<wait&>(node).time_out(); }

bool has_no_time(std::uint32_t accepts, deadline until) noexcept {
  const deadline_frame* const scope = (accepts & wait::unscoped) != 0 ? nullptr : innermost_deadline();
  return until.has_passed() || (scope != nullptr && scope->until.has_passed());
}

void give_way_to_others() noexcept { this_fiber::yield(); }

void throw_cancelled() {
  give_way_to_others();
  throw cancelled{};
}

void wait_end::throw_it(wake_cause why) {
  if (why == wake_cause::cancelled) throw cancelled{};
  throw std::system_error(error::deadline_expired);
}

[[gnu::flatten]] void schedule(parker& claimed) noexcept {
  if (claimed.plain_thread) [[unlikely]]
    return wake_thread(claimed);
  auto& fiber = static_cast<fiber_control&>(claimed);
  checker::release(&fiber.cause);
  worker* const home = fiber.home.load(std::memory_order_relaxed);  // it stays: nobody else can resume it
  if (home->records()) [[unlikely]]
    home->record_wake(fiber);
  if (home == current_worker()) [[likely]] {
    home->make_ready(fiber);
  } else {
    home->give(fiber);
  }
}

std::string_view to_string(wait_kind why) noexcept {
  static constexpr std::array<std::string_view, 27> names{
      "sleep",   "park",   "join",      "task group",   "blocking call", "channel send",    "channel receive",
      "select",  "future", "mutex",     "shared mutex", "condition",     "semaphore",       "latch",
      "barrier", "once",   "event",     "wait group",   "read",          "write",           "accept",
      "connect", "I/O",    "broadcast", "name lookup",  "connect race",  "end of a runtime"};
  static_assert(names.size() == static_cast<std::size_t>(wait_kind::runtime_end) + 1);
  return names[static_cast<std::size_t>(why)];
}

}  // namespace zsync::detail
