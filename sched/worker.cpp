#include <zsync/sched/worker.hpp>

#include <zsync/sched/delayed_calls.hpp>
#include <zsync/sched/recorder.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/wait.hpp>

#include <cerrno>

#if defined(__clang__)
#define ZSYNC_OPAQUE __attribute__((noinline, optnone))
#else
#define ZSYNC_OPAQUE __attribute__((noipa))
#endif

namespace zsync::detail {
namespace {

struct thread_state {
  worker* driving = nullptr;
  std::uint64_t number = 0;             // see this_thread_number(); 0: not asked for yet
  deadline_frame* deadlines = nullptr;  // of a plain thread; fibers have their own
};

// The only thread-local of the library that changes what a fiber sees.
thread_local constinit thread_state this_thread __attribute__((tls_model("initial-exec")));

}  // namespace

ZSYNC_OPAQUE worker* current_worker() noexcept { return this_thread.driving; }

fiber_control* current_fiber() noexcept {
  worker* const here = current_worker();
  return here == nullptr ? nullptr : &here->current();
}

fiber_control* current_fiber_but_root() noexcept {
  worker* const here = current_worker();
  return here == nullptr || here->at_root() ? nullptr : &here->current();
}

ZSYNC_OPAQUE deadline_frame*& innermost_deadline() noexcept {
  worker* const here = this_thread.driving;
  return here == nullptr ? this_thread.deadlines : here->current().deadlines;
}

// See wait.hpp. A fiber's answer takes no more than this look.
ZSYNC_OPAQUE parker& waiting_party() noexcept {
  worker* const here = this_thread.driving;
  if (here == nullptr) return thread_party();
  return here->current();
}

ZSYNC_OPAQUE std::uint64_t this_thread_number() noexcept {
  static std::atomic<std::uint64_t> numbers{1};
  if (this_thread.number == 0) this_thread.number = numbers.fetch_add(1, std::memory_order_relaxed);
  return this_thread.number;
}

outside_of_fibers::outside_of_fibers() noexcept : driven_(std::exchange(this_thread.driving, nullptr)) {}
outside_of_fibers::~outside_of_fibers() { this_thread.driving = driven_; }

worker::worker(scheduler& owner, unsigned index, std::unique_ptr<poller> io)
    : records_(owner.options().trace_events != 0),
      io_(std::move(io)),
      random_(0x9e3779b9U * (index + 1)),
      owner_(owner),
      default_stack_size_(static_cast<std::uint32_t>(owner.options().stack_size)),
      index_(index),
      measures_(owner.meter() != nullptr),
      delayed_(std::make_shared<delayed_calls>(*this)),
      recorder_(records_ ? std::make_unique<recorder>(owner.options().trace_events) : nullptr) {
  if (records_) picks_left_ = 1;
  if (owner_.size() == 1) {
    newborns_.never_shared();
    shared_.never_shared();
  }
  current_ = &root_;
  root_.home.store(this, std::memory_order_relaxed);
  root_.context = &root_;  // anything: it is no newborn
}

worker::~worker() {
  delayed_->close();
  checker::end(nobody_);
  while (hot_stacks_ != 0) owner_.stacks().release(hot_[--hot_stacks_]);
}

void worker::enter() {
  check_not_forked();
  begin_driving();
  if (!attached_) {
    try {
      io_->attach();
    } catch (...) {
      end_driving();
      throw;
    }
    attached_ = true;
  }
  root_.deadlines = innermost_deadline();  // the scopes around the call hold within
  outer_ = std::exchange(this_thread.driving, this);
  exceptions_ = thread_exception_state();
  errno_ = &errno;
  floats_ = {};
  signals_.enter();
  checker::begin_thread(root_.checked, nobody_);
  sleep_.rise();
  owner_.idlers().rise();
  end_search();
  owner_.note_awake();
  now_ = clock::now();
}

void worker::leave() noexcept {
  sleep_.fall_asleep();
  owner_.idlers().fall_asleep();
  // What came before that found us awake and woke nobody: leave the poller readable for it.
  if (!idle()) wake_if_asleep();
  signals_.leave();
  checker::end_thread(nobody_);
  this_thread.driving = outer_;
  end_driving();
}

// ---- the root ----

std::size_t worker::run_round() noexcept {
  const std::uint64_t before = count.switches.get();
  checker::step_aside(nobody_);
  prepare_round();
  if (!ready_.empty()) {
    ready_.push_back(root_);
    suspend_aside();
    settle_aside();
  } else {
    deadline unbounded;
    owner_.tidying().before_sleep(now_, unbounded);
  }
  checker::step_back(root_.checked, nobody_);
  const std::uint64_t ran = count.switches.get() - before;
  return ran == 0 ? 0 : ran - 1;  // the last one led back here
}

void worker::prepare_round() noexcept {
  poll_kernel();
  empty_inbox();
  if (attention_.load(std::memory_order_relaxed)) answer();
  while (fiber_control* const f = newborns_.take_oldest()) ready_.push_back(*f);
  while (fiber_control* const f = owner_.take_injected()) ready_.push_back(*f);
  ready_.take_all(yielded_);
  while (fiber_control* const f = shared_.take_oldest()) ready_.push_back(*f);
}

std::size_t worker::run_ready(deadline until, const std::atomic<bool>* stop_flag) noexcept {
  const std::uint64_t before = count.switches.get();
  returns_when_idle_ = true;
  bounded_ = !until.is_never();
  bound_ = until;
  stop_flag_ = stop_flag;
  checker::step_aside(nobody_);
  if (bounded_) {
    // No bound is too short for a look at the kernel, nor, unless it has passed, for one turn.
    picks_left_ = until.time() == deadline::passed().time() ? 1 : 2;
    poll_kernel();
  }
  suspend_aside();
  settle_aside();
  checker::step_back(root_.checked, nobody_);
  returns_when_idle_ = bounded_ = false;
  stop_flag_ = nullptr;
  const std::uint64_t ran = count.switches.get() - before;
  return ran == 0 ? 0 : ran - 1;
}

bool worker::idle() const noexcept {
  return ready_.empty() && yielded_.empty() && inbox_.empty() && surplus() == 0 && !owner_.has_injected() &&
         !attention_.load(std::memory_order_seq_cst);
}

void worker::settle_aside() noexcept {
  if (ready_.empty()) poll_kernel();
}

void worker::settle() noexcept {
  checker::step_aside(nobody_);
  settle_aside();
  checker::step_back(root_.checked, nobody_);
}

void worker::block() noexcept {
  if (!idle()) return;
  checker::step_aside(nobody_);
  sleep();
  checker::step_back(root_.checked, nobody_);
}

std::uint64_t worker::next_id() noexcept {
  if (ids_ == ids_end_) {
    ids_ = owner_.take_ids(ids_at_once);
    ids_end_ = ids_ + ids_at_once;
  }
  return ids_++;
}

}  // namespace zsync::detail
