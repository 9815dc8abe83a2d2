// What a worker does when its ready queue gives nothing, or has given often enough.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/recorder.hpp>
#include <zsync/sched/scheduler.hpp>

#include <algorithm>
#include <utility>

namespace zsync::detail {
namespace {

constexpr std::chrono::microseconds poll_period{25};
constexpr std::int32_t ticks_per_poll_max = 64;
constexpr std::size_t timers_per_poll = 256;

}  // namespace

fiber_control& worker::pick_slowly() noexcept {
  deadline nap_end;  // never: no nap has begun
  for (bool looked = false, slept = false;;) {
    if (fiber_control* const f = pick_here()) {
      if (slept) owner_.thief_done();  // perhaps woken to steal, and now busy with its own: let another one
      return *f;
    }
    if (sweep_.load(std::memory_order_relaxed)) {
      answer();
      continue;
    }
    if (returns_when_idle_) {
      if (std::exchange(looked, true)) return root_;
      poll_kernel();
      continue;
    }
    if (fiber_control* const f = steal()) return *f;
    sleep(nap_end);
    slept = true;
  }
}

fiber_control* worker::pick_here() noexcept {
  empty_inbox();
  if (fiber_control* const f = ready_.pop_front()) return f;
  if (fiber_control* const f = newborns_.pop_youngest()) return f;
  if (fiber_control* const f = shared_.take_oldest()) return f;
  if (fiber_control* const f = owner_.take_injected()) return f;
  return yielded_.pop_front();
}

// Each kind that the ready queue could keep waiting gets one place in it.
void worker::tick() noexcept {
  picks_left_ = bounded_ || records_ ? 1 : picks_per_tick;
  if (records_ && !record_stop() && !bounded_) return;
  empty_inbox();
  // Rarely the oldest: where fibers fork and join, it would begin another large branch of the tree.
  const bool oldest = --ticks_left_for_oldest_ <= 0;
  if (oldest) ticks_left_for_oldest_ = ticks_per_oldest;
  if (fiber_control* const newborn = oldest ? newborns_.take_oldest() : newborns_.pop_youngest())
    ready_.push_back(*newborn);
  if (fiber_control* const shared = shared_.take_oldest()) ready_.push_back(*shared);
  if (fiber_control* const injected = owner_.take_injected()) ready_.push_back(*injected);
  ready_.take_all(yielded_);
  if (sweep_.load(std::memory_order_relaxed)) answer();
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
  if (surplus() != 0 && owner_.asleep() != 0) owner_.wake_thief();
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
void worker::poll_kernel() noexcept { ask_kernel(deadline::passed(), false); }

// Fibers that it makes ready were woken by the kernel or a timer, not by another fiber: so traces say.
void worker::ask_kernel(deadline until, bool could_block) noexcept {
  const clock::time_point since = records_ ? clock::now() : clock::time_point{};
  if (records_) recorder_->polling = true;
  io_->wait(until);
  count.polls.add();
  if (could_block) {
    sleep_.rise();
    owner_.note_woken();
  }
  expire_timers();
  if (!records_) return;
  recorder_->polling = false;
  record_poll(since, could_block);
}

void worker::expire_timers() noexcept {
  now_ = clock::now();
  if (!timers_.empty()) timers_.expire(now_, timers_per_poll);
}

fiber_control* worker::steal() noexcept {
  const unsigned workers = owner_.size();
  if (workers == 1) return nullptr;
  const std::uint32_t first = random();  // victims in no particular order
  fiber_control* stolen = nullptr;
  for (unsigned i = 0; i < workers && stolen == nullptr; ++i) {
    worker& victim = owner_.at((first + i) % workers);
    if (&victim == this) continue;
    stolen = steal_from(victim);
    if (stolen != nullptr && victim.surplus() != 0) {
      owner_.thief_done();
      owner_.wake_thief();
      return stolen;
    }
  }
  owner_.thief_done();
  return stolen;
}

fiber_control* worker::steal_from(worker& victim) noexcept {
  if (fiber_control* const newborn = victim.take_newborn()) {
    count.newborns_stolen.add();
    return newborn;
  }
  fiber_control* const started = victim.take_shared();
  if (started != nullptr) {
    adopt(*started);
    count.fibers_stolen.add();
  }
  return started;
}

// It says that it sleeps before it looks at the inbox: see sleep_state.hpp. A newborn that another worker
// pushes at this moment may be missed, for it pays no fence for that. Therefore the first sleep after work is
// a nap, while others are awake: whoever looks again after it finds that newborn.
void worker::sleep(deadline& nap_end) noexcept {
  if (spin_ != clock::duration::zero() && spin()) return;
  deadline until = timers_.next();
  if (owner_.tidying().before_sleep(now_, until)) return poll_kernel();
  const clock::time_point before = now_;
  owner_.note_asleep();
  sleep_.fall_asleep();
  // Whoever was roused, if only by us a moment ago, is awake, though it may not have counted itself yet: then
  // it may push a newborn that is not announced, because the last announcement was so recently.
  bool alone = true;
  for (unsigned i = 0; i < owner_.size(); ++i) alone = alone && owner_.at(i).asleep();
  bool work = !inbox_.empty() || sweep_.load(std::memory_order_seq_cst) || owner_.has_injected();
  for (unsigned i = 0; i < owner_.size() && !work; ++i) work = owner_.at(i).surplus() != 0;
  if (!alone) {
    // A nap is one to its end, whatever wake-up that was left over ends the sleep before.
    if (nap_end.is_never()) nap_end = deadline::after(nap);
    if (now_ < nap_end.time()) until = tightest(until, nap_end);
  }
  ask_kernel(work ? deadline::passed() : until, true);
  if (!work) count.sleeps.add();
  // Woken by another thread, and so soon that it would have paid to stay awake?
  if (!inbox_.empty() && now_ - before < 2 * owner_.options().spin_max) {
    spin_ = std::min<clock::duration>(2 * spin_ + std::chrono::microseconds{1}, owner_.options().spin_max);
  }
}

// True: there is work. Else half as long next time.
bool worker::spin() noexcept {
  const clock::time_point end = clock::now() + spin_;
  do {
    for (int i = 0; i < 64; ++i) {
      if (!inbox_.empty() || owner_.has_injected()) return true;
      pause_processor();
    }
    for (unsigned i = 0; i < owner_.size(); ++i) {
      if (owner_.at(i).surplus() != 0) return true;
    }
  } while ((now_ = clock::now()) < std::min(end, timers_.next().time()));
  spin_ /= 2;
  return false;
}

}  // namespace zsync::detail
