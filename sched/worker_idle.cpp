// What a worker does when it has nothing to run: it takes from others, then sleeps. idle_workers.hpp says why
// nothing is lost meanwhile.
#include <zsync/sched/worker.hpp>

#include <zsync/sched/scheduler.hpp>

#include <algorithm>

namespace zsync::detail {
namespace {

constexpr std::chrono::milliseconds nap_length{1};

}  // namespace

// ---- giving ----

// It has just pushed something that others may take.
void worker::announce() noexcept {
  if (owner_.idlers().begin_search(surplus() == 1)) owner_.wake_searcher();
}

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

// It is busy from now on: what others relied on it to find is for somebody else.
void worker::end_search() noexcept {
  if (owner_.size() == 1) return;
  owner_.idlers().end_search();
  if (owner_.idlers().any() && owner_.has_surplus()) owner_.wake_to_search();
}

// ---- sleeping ----

// It says that it sleeps before it looks at the inbox: see sleep_state.hpp.
void worker::sleep() noexcept {
  if (spin_ != clock::duration::zero() && spin()) return;
  deadline until = timers_.next();
  if (owner_.tidying().before_sleep(now_, until)) return poll_kernel();
  const clock::time_point before = now_;
  idle_workers& idle = owner_.idlers();
  sleep_.fall_asleep();
  const bool others = owner_.size() != 1;
  bool naps = false;
  if (others) {
    idle.fall_asleep();
    naps = !owner_.all_asleep();
    if (naps) idle.begin_nap();
    idle.end_search();
  }
  bool work = sees_work();
  const clock::time_point since = begin_poll();
  bool woken = false;
  if (naps) {
    woken = !work && nap(until);
    idle.end_nap();
    work = work || sees_work();
  }
  if (!woken) io_->wait(work ? deadline::passed() : until);
  sleep_.rise();
  if (others) idle.rise();
  owner_.note_awake();
  end_poll(since, true);
  if (woken || !work) count.sleeps.add();
  // Woken by another thread, and so soon that it would have paid to stay awake?
  if (!inbox_.empty() && now_ - before < 2 * owner_.options().spin_max) {
    spin_ = std::min<clock::duration>(2 * spin_ + std::chrono::microseconds{1}, owner_.options().spin_max);
  }
}

// True: something ended it. A wake-up that was left over is nothing.
bool worker::nap(deadline until) noexcept {
  const deadline end = deadline::after(nap_length);
  do {
    io_->wait(tightest(until, end));
    if (!sleep_.asleep() || !ready_.empty() || until.has_passed()) return true;
  } while (!end.has_passed());
  return false;
}

bool worker::sees_work() const noexcept {
  return !inbox_.empty() || sweep_.load(std::memory_order_seq_cst) || owner_.has_injected() ||
         owner_.has_surplus();
}

// True: there is work. Else half as long next time.
bool worker::spin() noexcept {
  const clock::time_point end = clock::now() + spin_;
  do {
    for (int i = 0; i < 64; ++i) {
      if (!inbox_.empty() || owner_.has_injected()) return true;
      pause_processor();
    }
    if (owner_.has_surplus()) return true;
  } while ((now_ = clock::now()) < std::min(end, timers_.next().time()));
  spin_ /= 2;
  return false;
}

}  // namespace zsync::detail
