#include <zsync/sched/scheduler.hpp>

#include <zsync/sched/cpus.hpp>
#include <zsync/sched/dump.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/helper_pool.hpp>
#include <zsync/sched/runtimes.hpp>
#include <zsync/sched/thread_name.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <latch>
#include <mutex>
#include <string>
#include <thread>

namespace zsync::detail {
namespace {

runtime_options completed(runtime_options options) {
  if (options.workers == 0) options.workers = usable_cpus();
  options.backend = choose_backend(options.backend);
  check_stack_size(options.stack_size);
  options.stack_size = stack_pool::rounded(options.stack_size);
  options.helpers_max = std::max(options.helpers_max, 1U);
  options.spin_max =
      std::min<std::chrono::nanoseconds>(options.spin_max, std::chrono::hours{1});  // is doubled
  return options;
}

}  // namespace

void check_stack_size(std::size_t size) {
  if (size > stack_pool::size_max)
    throw std::system_error(std::make_error_code(std::errc::invalid_argument), "stacks have at most 1 GiB");
}

// Where the constructor waits for its threads. A poller may turn out not to work only on its own thread.
struct start_line {
  explicit start_line(std::ptrdiff_t threads) : arrivals(threads) {}

  std::mutex lock;
  std::exception_ptr failure;  // lock
  std::latch arrivals;
};

scheduler::scheduler(runtime_options options, unsigned threads_from)
    : options_(completed(std::move(options))),
      inspection_(inspection_if_asked()),
      helpers_(std::make_unique<helper_pool>(options_.name, options_.helpers_max)) {
  if (options_.measure_stacks || options_.stack_warning_percent != 0)
    meter_ = std::make_unique<stack_meter>(options_.stack_warning_percent);
  for (unsigned i = 0; i < options_.workers; ++i) {
    workers_.push_back(std::make_unique<worker>(*this, i, make_poller(options_.backend)));
  }
  try {
    start(threads_from);
    if (options_.blocked_worker_threshold > std::chrono::nanoseconds::zero()) {
      own_sentinel_ = std::make_unique<sentinel>(*this, options_.blocked_worker_threshold);
      sentinel_.store(own_sentinel_.get(), std::memory_order_release);
    }
    enlist(*this);
  } catch (...) {
    close();
    throw;
  }
}

scheduler::~scheduler() {
  withdraw(*this);
  close();
}

void scheduler::close() noexcept {
  {
    std::unique_lock hold(quiet_lock_);
    closing_ = true;
    while (waiter* const root = resting_.claim_front()) {
      hold.unlock();
      schedule(*root->party);
      hold.lock();
    }
  }
  for (std::thread& t : threads_) t.join();
  threads_.clear();
  sentinel_.store(nullptr, std::memory_order_relaxed);
  own_sentinel_.reset();
  // A thread that woke or spawned one of our fibers may still be on its way out of give() or inject().
  while (injecting_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  for (const auto& w : workers_) {
    while (w->has_visitors()) std::this_thread::yield();
  }
  checker::acquire(this);
}

void scheduler::start(unsigned threads_from) {
  start_line line(options_.workers - threads_from);
  for (unsigned i = threads_from; i < options_.workers; ++i) {
    try {
      threads_.emplace_back([this, i, &line] { work(*workers_[i], line); });
    } catch (...) {
      line.arrivals.count_down(options_.workers - i);
      line.arrivals.wait();  // the others look at it
      throw;
    }
  }
  line.arrivals.wait();
  if (line.failure != nullptr) std::rethrow_exception(line.failure);
}

// A thread of ours: its root rests until the end, and meanwhile its worker runs fibers on any stack but the
// root's.
void scheduler::work(worker& w, start_line& line) noexcept {
  name_this_thread(options_.name, std::to_string(w.index()));
  try {
    w.enter();
  } catch (...) {
    {
      const std::lock_guard hold(line.lock);
      line.failure = std::current_exception();
    }
    line.arrivals.count_down();
    return;
  }
  line.arrivals.count_down();
  {
    std::unique_lock hold(quiet_lock_);
    if (!closing_) {
      wait rest(wait_kind::park, this, wait::uncancellable);
      if (rest.open()) {
        waiter me(rest);
        resting_.push_back(me);
        hold.unlock();
        rest.suspend();
      }
    }
  }
  w.leave();
}

void scheduler::admit(fiber_control& newborn, int placed_on) {
  const checker::unseen queues;
  newborn.stack_size = newborn.stack_size == 0
                           ? static_cast<std::uint32_t>(options_.stack_size)
                           : static_cast<std::uint32_t>(stack_pool::rounded(newborn.stack_size));
  if (stacks_.exhausted(newborn.stack_size)) {
    throw std::system_error(std::make_error_code(std::errc::not_enough_memory), "no stack for another fiber");
  }
  worker* const here = current_worker();
  const bool ours = here != nullptr && &here->owner() == this;
  newborn.home.store(ours ? here : workers_.front().get(), std::memory_order_relaxed);  // until it begins
  newborn.placed = placed_on >= 0;
  if (newborn.placed) newborn.stealable = false;  // neither before nor after its start
  if (ours && !newborn.placed) {
    newborn.id = here->next_id();
    here->count.spawned.add();
    if (here->records()) [[unlikely]]
      here->record_wake(newborn, true);
    here->push_newborn(newborn);
    return;
  }
  newborn.id = take_ids(1);
  admitted_.fetch_add(1, std::memory_order_relaxed);
  if (newborn.placed) {
    workers_[static_cast<unsigned>(placed_on)]->give(newborn);
  } else {
    inject(newborn);
  }
}

void scheduler::inject(fiber_control& newborn) noexcept {
  // The newborn may end, and the runtime after it, as soon as it can be taken. Release: for close().
  injecting_.fetch_add(1, std::memory_order_relaxed);
  {
    const std::lock_guard hold(injection_lock_);
    injected_.push_back(newborn);
    injected_count_.fetch_add(1, std::memory_order_seq_cst);
  }
  // Also one that no thread drives, whose host waits for it to become readable.
  for (const auto& w : workers_) {
    if (w->wake_if_asleep()) break;
  }
  injecting_.fetch_sub(1, std::memory_order_release);
}

fiber_control* scheduler::take_injected() noexcept {
  if (!has_injected()) return nullptr;
  const std::lock_guard hold(injection_lock_);
  fiber_control* const oldest = injected_.pop_front();
  if (oldest != nullptr) injected_count_.fetch_sub(1, std::memory_order_relaxed);
  return oldest;
}

std::uint64_t scheduler::alive() const noexcept {
  // In this order: a fiber is counted as spawned before it ends, so the difference is never too small.
  std::uint64_t finished = 0;
  for (const auto& w : workers_) finished += w->count.finished.get();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // As is a call_after()'s fiber, before the call is over.
  const std::uint64_t delayed = delayed_.load(std::memory_order_acquire);
  std::uint64_t spawned = admitted_.load(std::memory_order_relaxed);
  for (const auto& w : workers_) spawned += w->count.spawned.get();
  return spawned - finished + delayed;
}

void scheduler::stop() noexcept {
  stopping_.store(true, std::memory_order_seq_cst);
  for (const auto& w : workers_) w->request_attention();
}

// Of the last end and the wait for it, one sees the other. A worker counts the end of a fiber, or of a
// delayed call, then looks whether the runtime is ending; stop() says so, then looks at the counts here, and
// neither look is fenced, so both may be too old. But stop() asks each worker for its attention, and in
// answer() the worker sees what came before that: there it looks at the counts itself, after all ends that it
// did not note before, and all later ones it notes. note_end() is fenced, and the lock orders its look and
// ours.
bool scheduler::quiesce(deadline until) noexcept {
  check_not_forked();
  stop();
  while (alive() != 0) {
    wait last(wait_kind::runtime_end, this, wait::uncancellable | wait::unscoped);
    std::unique_lock hold(quiet_lock_);
    if (alive() == 0) break;
    if (!last.open()) continue;
    waiter me(last);
    quiet_.push_back(me);
    hold.unlock();
    if (last.suspend(until) != wake_cause::notified) {
      hold.lock();
      quiet_.remove(me);
      return alive() == 0;
    }
  }
  checker::acquire(this);
  return true;
}

void scheduler::end() noexcept {
  if (quiesce(deadline::after(options_.shutdown_grace))) return;
  dump_to_stderr(*this, "a runtime ends, and fibers do not within its grace time");
  std::abort();
}

void scheduler::note_end() noexcept {
  // Of two that end at the same time on two workers, at least one sees that the other is counted as well.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (alive() != 0) return;
  std::unique_lock hold(quiet_lock_);
  while (waiter* const w = quiet_.claim_front()) {
    parker& party = *w->party;
    hold.unlock();
    schedule(party);
    hold.lock();
  }
}

// One that no thread drives would not search. Begins behind the caller, so that not all are woken from the
// first on.
bool scheduler::wake_one(const worker* but) noexcept {
  const unsigned first = but == nullptr ? 0 : but->index() + 1;
  for (unsigned i = 0; i < size(); ++i) {
    worker& w = at((first + i) % size());
    if (&w != but && w.driven() && w.asleep() && w.wake_if_asleep()) return true;
  }
  return false;
}

bool scheduler::has_work_for_others() const noexcept {
  return has_injected() ||
         std::any_of(workers_.begin(), workers_.end(), [](const auto& w) { return w->surplus() != 0; });
}

runtime_stats scheduler::stats() const {
  runtime_stats all;
  all.workers = size();
  all.backend = options_.backend;
  all.policy = options_.policy;
  // The ends first, as in alive().
  for (const auto& w : workers_) all.fibers_finished += w->count.finished.get();
  std::atomic_thread_fence(std::memory_order_seq_cst);
  all.fibers_spawned = admitted_.load(std::memory_order_relaxed);
  for (const auto& w : workers_) {
    all.fibers_spawned += w->count.spawned.get();
    all.switches += w->count.switches.get();
    all.newborns_stolen += w->count.newborns_stolen.get();
    all.fibers_stolen += w->count.fibers_stolen.get();
    all.polls += w->count.polls.get();
    all.sleeps += w->count.sleeps.get();
  }
  all.fibers_alive = all.fibers_spawned - all.fibers_finished;
  all.stacks = stacks_.carved();
  return all;
}

}  // namespace zsync::detail
