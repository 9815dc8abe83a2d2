// What a worker does when its ready queue gives nothing, or has given often enough.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/recorder.hpp>
#include <zsync/sched/scheduler.hpp>

#include <utility>

namespace zsync::detail {
namespace {

constexpr std::chrono::microseconds poll_period{25};
constexpr std::int32_t ticks_per_poll_max = 64;
constexpr std::size_t timers_per_poll = 256;

}  // namespace

fiber_control& worker::pick_slowly() noexcept {
  for (bool looked = false, slept = false;;) {
    if (fiber_control* const f = pick_here()) {
      if (slept) end_search();  // perhaps woken to steal, and now busy with its own: let another one
      return *f;
    }
    if (attention_.load(std::memory_order_relaxed)) {
      answer();
      continue;
    }
    if (returns_when_idle_) {
      if (std::exchange(looked, true)) return root_;
      poll_kernel();
      continue;
    }
    if (fiber_control* const f = steal()) {
      end_search();
      return *f;
    }
    sleep();
    slept = true;
  }
}

fiber_control* worker::pick_here() noexcept {
  empty_inbox();
  if (fiber_control* const f = ready_.pop_front()) return f;
  if (fiber_control* const f = shared_.take_oldest()) return f;
  if (fiber_control* const f = newborns_.pop_youngest()) return f;
  if (fiber_control* const f = owner_.take_injected()) return f;
  return yielded_.pop_front();
}

// One of those whom the ready queue could keep waiting, of each kind in turn, and all who yielded. What
// others could have taken begins next: behind a fiber that computes it would be lost to them. With a bound
// each pick is a tick, and that would shut out the ready queue.
void worker::tick() noexcept {
  picks_left_ = bounded_ || records_ ? 1 : picks_per_tick;
  if (records_ && !record_stop() && !bounded_) return;
  if (ready_.front() == &root_) return;  // it is next
  empty_inbox();
  if (fiber_control* const f = take_in_turn()) bounded_ ? ready_.push_back(*f) : ready_.push_front(*f);
  ready_.take_all(yielded_);
  if (attention_.load(std::memory_order_relaxed)) answer();
  if (owner_.idlers().any() && surplus() != 0) announce();
  if (stop_flag_ != nullptr && stop_flag_->load(std::memory_order_relaxed)) return return_to_root();
  if (--ticks_left_ > 0 && !bounded_) return;

  const clock::time_point now = clock::now();
  const clock::duration elapsed = now - now_;
  if (elapsed < poll_period / 2 && ticks_per_poll_ < ticks_per_poll_max) ticks_per_poll_ *= 2;
  if (elapsed > poll_period * 2 && ticks_per_poll_ > 1) ticks_per_poll_ /= 2;
  ticks_left_ = ticks_per_poll_;
  if (bounded_ && bound_.time() <= now) {
    return_to_root();
  } else if (elapsed >= poll_period) {
    poll_kernel();
  }
}

fiber_control* worker::take_in_turn() noexcept {
  if (surplus() == 0 && !owner_.has_injected()) return nullptr;
  fiber_control* f = nullptr;
  for (int kinds = 0; f == nullptr && kinds < 3; ++kinds) {
    turn_ = (turn_ + 1) % 3;
    switch (turn_) {
      case 0: {
        // Rarely the oldest: where fibers fork and join, it would begin another large branch of the tree.
        const bool oldest = --ticks_left_for_oldest_ <= 0;
        if (oldest) ticks_left_for_oldest_ = ticks_per_oldest;
        f = oldest ? newborns_.take_oldest() : newborns_.pop_youngest();
        break;
      }
      case 1:
        f = shared_.take_oldest();
        break;
      default:
        f = owner_.take_injected();
    }
  }
  return f;
}

// Next. It may stand there already: a fiber that ticked, and then did not begin another one in its own place,
// ticks again at its next pick.
void worker::return_to_root() noexcept {
  if (ready_.front() != &root_) ready_.push_front(root_);
}

// Something for an empty ready queue, if there is anything but newborns.
void worker::refill() noexcept {
  if (!ready_.empty()) return;
  empty_inbox();
  if (!ready_.empty()) return;
  if (fiber_control* const shared = shared_.take_oldest()) ready_.push_back(*shared);
}

// A look at the kernel and the clock that does not block.
void worker::poll_kernel() noexcept {
  const clock::time_point since = begin_poll();
  io_->wait(deadline::passed());
  end_poll(since, false);
}

// Fibers that are made ready until its end were woken by the kernel or a timer, not by another fiber: so
// traces say.
clock::time_point worker::begin_poll() noexcept {
  if (!records_) return {};
  recorder_->polling = true;
  return clock::now();
}

void worker::end_poll(clock::time_point since, bool could_block) noexcept {
  count.polls.add();
  expire_timers();
  if (!records_) return;
  recorder_->polling = false;
  record_poll(since, could_block);
}

void worker::expire_timers() noexcept {
  now_ = clock::now();
  if (!timers_.empty()) timers_.expire(now_, timers_per_poll);
}

}  // namespace zsync::detail
