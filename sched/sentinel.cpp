#include <zsync/sched/sentinel.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/sample.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/signal_mask.hpp>
#include <zsync/sched/thread_name.hpp>

#include <algorithm>
#include <cstdio>
#include <iomanip>
#include <sstream>
#include <utility>

namespace zsync::detail {
namespace {

constexpr int looks_a_threshold = 4;
constexpr std::chrono::milliseconds patience{200};

bool busy(const worker& w) noexcept { return w.driven() && !w.asleep(); }

// Moves whenever the worker gets to choose what to do next.
std::uint64_t beat_of(const worker& w) noexcept { return w.count.switches.get() + w.count.polls.get(); }

}  // namespace

sentinel::sentinel(scheduler& of, std::chrono::nanoseconds threshold)
    : of_(of), threshold_(threshold), sights_(of.size()) {
  const signals_blocked quiet;
  thread_ = std::thread([this] { watch(); });
}

sentinel::~sentinel() {
  {
    const std::lock_guard hold(mutex_);
    ending_ = true;
  }
  something_.notify_one();
  thread_.join();
}

void sentinel::rouse() noexcept {
  {
    const std::lock_guard hold(mutex_);
    dozing_.store(false, std::memory_order_relaxed);
  }
  something_.notify_one();
}

bool sentinel::none_busy() const noexcept {
  for (unsigned i = 0; i < of_.size(); ++i) {
    if (busy(of_.at(i))) return false;
  }
  return true;
}

void sentinel::watch() noexcept {
  name_this_thread(of_.options().name, "sentinel");
  const auto tick =
      std::max<std::chrono::nanoseconds>(threshold_ / looks_a_threshold, std::chrono::milliseconds{1});
  for (std::unique_lock hold(mutex_); !ending_;) {
    dozing_.store(true, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (none_busy()) {
      something_.wait(hold, [this] { return ending_ || !dozing_.load(std::memory_order_relaxed); });
    }
    dozing_.store(false, std::memory_order_relaxed);
    if (something_.wait_for(hold, tick, [this] { return ending_; })) return;
    hold.unlock();
    for (unsigned i = 0; i < of_.size(); ++i) look(of_.at(i), sights_[i]);
    hold.lock();
  }
}

void sentinel::look(worker& w, sight& last) noexcept {
  const std::uint64_t beat = beat_of(w);
  const auto now = steady::now();
  if (!busy(w) || beat != last.beat || last.since == steady::time_point{}) {
    last = {beat, now, false};
    return;
  }
  if (now - last.since < threshold_) return;
  if (of_.has_work_for_others()) of_.announce(false, nullptr);
  if (!std::exchange(last.reported, true)) report(w, beat, now - last.since);
}

void sentinel::report(worker& w, std::uint64_t beat, steady::duration held) const noexcept try {
  worker_sample sample;
  std::ostringstream text;
  text << "zsync: worker " << w.index() << " of '" << of_.options().name << "' is held by ";
  const bool known = take_sample(w, sample, patience);
  if (!busy(w) || beat_of(w) != beat) return;  // it went on just then, and that is what was sampled
  if (known && !sample.in_fiber) return;  // it is the program's own thread, between two turns of its loop
  if (known) {
    text << "fiber " << sample.id << " '" << sample.name << "'";
  } else {
    text << "a fiber, and takes no signal,";
  }
  text << " for " << std::fixed << std::setprecision(3) << std::chrono::duration<double>(held).count()
       << " s; other fibers on it have to wait\n";
  if (known) text << "    spawned at " << symbol_name(sample.spawned_at) << '\n';
  for (std::size_t i = 0; i < sample.frames_count; ++i)
    text << "      " << symbol_name(sample.frames[i]) << '\n';
  std::fputs(text.str().c_str(), stderr);
} catch (...) {
  std::fputs("zsync: a worker is held by a fiber, and there is no memory to say more\n", stderr);
}

}  // namespace zsync::detail
