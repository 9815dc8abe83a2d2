// What a worker does when it has nothing to run: it takes from others, then sleeps. idle_workers.hpp says why
// nothing is lost meanwhile.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/scheduler.hpp>

#include <algorithm>

namespace zsync::detail {
namespace {

constexpr std::chrono::milliseconds nap_length{1};
constexpr int spins_skipped_max = 255;

}  // namespace

// It has just pushed something that others may take.
void worker::announce() noexcept { owner_.announce(surplus() <= 1, this); }

// ---- taking ----

fiber_control* worker::steal() noexcept {
  const unsigned workers = owner_.size();
  if (workers == 1) return nullptr;
  const std::uint32_t first = random();  // victims in no particular order
  for (unsigned i = 0; i < workers; ++i) {
    worker& victim = owner_.at((first + i) % workers);
    if (&victim == this) continue;
    if (fiber_control* const stolen = steal_from(victim)) return stolen;
  }
  return nullptr;
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

// It has something to do, and perhaps others relied on it to find what they have.
void worker::end_search() noexcept {
  owner_.idlers().found([this] { return owner_.has_work_for_others(); },
                        [this] { return owner_.wake_one(this); });
}

// ---- sleeping ----

// It says that it sleeps before it looks at the inbox: see sleep_state.hpp.
void worker::sleep() noexcept {
  if (spin_ != clock::duration::zero() && spin()) return;
  deadline until = timers_.next();
  if (owner_.tidying().before_sleep(now_, until)) return poll_kernel();
  const clock::time_point before = now_;
  sleep_.fall_asleep();
  const clock::time_point since = begin_poll();
  const bool waited = owner_.idlers().sleep([this] { return sees_work(); }, [&] { return nap(until); },
                                            [&](bool work) { io_->wait(work ? deadline::passed() : until); });
  sleep_.rise();
  owner_.note_awake();
  end_poll(since, true);
  if (waited) count.sleeps.add();
  // Woken by another thread, and so soon that it would have paid to stay awake?
  if (!inbox_.empty() && now_ - before < 2 * owner_.options().spin_max) {
    if (spins_to_skip_ == 0) {
      spin_ = owner_.options().spin_max;
    } else {
      --spins_to_skip_;
    }
  }
}

// True: something ended it, which a wake-up that was left over is not. Who roused this worker did so before
// it made the kernel return.
bool worker::nap(deadline until) noexcept {
  const deadline end = deadline::after(nap_length);
  do {
    io_->wait(tightest(until, end));
    if (!sleep_.asleep() || !ready_.empty() || surplus() != 0 || until.has_passed()) return true;
  } while (!end.has_passed());
  return false;
}

bool worker::sees_work() const noexcept {
  return !inbox_.empty() || attention_.load(std::memory_order_seq_cst) || owner_.has_work_for_others();
}

// True: there is work. After each time in vain it is left out twice as often: on a busy machine it takes the
// processor from the one that it waits for.
bool worker::spin() noexcept {
  const clock::time_point end = clock::now() + spin_;
  do {
    for (int i = 0; i < 64; ++i) {
      if (!inbox_.empty() || owner_.has_injected() || attention_.load(std::memory_order_relaxed)) {
        spins_in_vain_ = 0;
        return true;
      }
      pause_processor();
    }
    if (owner_.has_work_for_others()) {
      spins_in_vain_ = 0;
      return true;
    }
  } while ((now_ = clock::now()) < std::min(end, timers_.next().time()));
  spin_ = {};
  spins_in_vain_ = std::min(2 * spins_in_vain_ + 1, spins_skipped_max);
  spins_to_skip_ = spins_in_vain_;
  return false;
}

}  // namespace zsync::detail
