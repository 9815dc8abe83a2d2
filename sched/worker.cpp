#include <zsync/sched/worker.hpp>

#include <zsync/fiber/context.hpp>
#include <zsync/sched/delayed_calls.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/wait.hpp>

#include <cerrno>
#include <mutex>
#include <new>

#if defined(__clang__)
#define ZSYNC_OPAQUE __attribute__((noinline, optnone))
#else
#define ZSYNC_OPAQUE __attribute__((noipa))
#endif

#define ZSYNC_INLINE inline __attribute__((always_inline))

namespace zsync::detail {
namespace {

struct thread_state {
  worker* driving = nullptr;
  deadline_frame* deadlines = nullptr;  // of a plain thread; fibers have their own
};

// The only thread-local of the library that changes what a fiber sees.
thread_local constinit thread_state this_thread __attribute__((tls_model("initial-exec")));

constexpr std::chrono::microseconds pass_period{25};
constexpr std::int32_t turns_a_pass_max = 64;
constexpr std::size_t timers_a_pass = 256;
constexpr std::size_t block_sizes[] = {256, 512};
constexpr std::uint32_t blocks_kept_max = 4096;

bool is_newborn(const fiber_control& f) noexcept { return f.context == nullptr; }

}  // namespace

ZSYNC_OPAQUE worker* current_worker() noexcept { return this_thread.driving; }

fiber_control* current_fiber() noexcept {
  worker* const here = current_worker();
  return here == nullptr ? nullptr : &here->current();
}

ZSYNC_OPAQUE deadline_frame*& innermost_deadline() noexcept {
  worker* const here = this_thread.driving;
  return here == nullptr ? this_thread.deadlines : here->current().deadlines;
}

outside_of_fibers::outside_of_fibers() noexcept : driven_(std::exchange(this_thread.driving, nullptr)) {}
outside_of_fibers::~outside_of_fibers() { this_thread.driving = driven_; }

worker::worker(scheduler& owner, unsigned index, std::unique_ptr<poller> io)
    : io_(std::move(io)),
      random_(0x9e3779b9U * (index + 1)),
      owner_(owner),
      default_stack_size_(static_cast<std::uint32_t>(owner.options().stack_size)),
      index_(index),
      measures_(owner.meter() != nullptr),
      delayed_(std::make_shared<delayed_calls>(*this)) {
  if (owner_.size() == 1) {
    newborns_.never_shared();
    shared_.never_shared();
  }
  current_ = &root_;
  root_.home.store(this, std::memory_order_relaxed);
  root_.context = &root_;                             // anything: it is no newborn
  state_.store(sleeping, std::memory_order_relaxed);  // whoever gives before it is driven has to wake it
}

worker::~worker() {
  delayed_->close();
  while (hot_stacks_ != 0) owner_.stacks().release(hot_[--hot_stacks_]);
  for (free_block*& list : blocks_) {
    while (list != nullptr) ::operator delete(std::exchange(list, list->next));
  }
}

void worker::enter() {
  check_not_forked();
  if (!attached_) {
    io_->attach();
    attached_ = true;
  }
  take_wheel();
  root_.deadlines = innermost_deadline();  // the scopes around the call hold within
  outer_ = std::exchange(this_thread.driving, this);
  exceptions_ = thread_exception_state();
  errno_ = &errno;
  floats_ = {};
  signals_.enter();
  checker::begin_thread(root_.checked);
  state_.store(awake, std::memory_order_seq_cst);
  owner_.note_awake();
  now_ = clock::now();
}

void worker::leave() noexcept {
  state_.store(sleeping, std::memory_order_seq_cst);
  // What came before that store found us awake and woke nobody: leave the poller readable for it.
  if (!idle()) wake_if_asleep();
  signals_.leave();
  this_thread.driving = outer_;
  leave_wheel();
}

// ---- what to run next ----

ZSYNC_INLINE fiber_control& worker::pick() noexcept {
  if (--picks_left_ <= 0) [[unlikely]]
    take_turn();
  if (fiber_control* const f = ready_.pop_front()) [[likely]] {
    // The next one's control block came into the cache a switch ago: fetch its stack, and the block after it.
    if (const fiber_control* const next = ready_.front()) {
      __builtin_prefetch(next->context);
      __builtin_prefetch(next->next);
    }
    return *f;
  }
  return pick_slowly();
}

ZSYNC_INLINE fiber_control& worker::pick_prepared() noexcept {
  for (;;) {
    fiber_control& f = pick();
    if (!is_newborn(f)) [[likely]]
      return f;
    if (give_stack(f)) return f;
  }
}

fiber_control& worker::pick_slowly() noexcept {
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
      pass();
      continue;
    }
    if (fiber_control* const f = steal()) return *f;
    sleep();
    slept = true;
  }
}

fiber_control* worker::pick_here() noexcept {
  empty_inbox();
  if (fiber_control* const f = ready_.pop_front()) return f;
  if (fiber_control* const f = newborns_.pop_youngest()) return f;
  if (fiber_control* const f = shared_.take_oldest()) return f;
  return owner_.take_injected();
}

// Everybody whom the ready queue could keep waiting gets one place in it.
void worker::take_turn() noexcept {
  picks_left_ = bounded_ ? 1 : picks_a_turn;
  empty_inbox();
  if (fiber_control* const oldest = newborns_.take_oldest()) ready_.push_back(*oldest);
  if (fiber_control* const shared = shared_.take_oldest()) ready_.push_back(*shared);
  if (fiber_control* const injected = owner_.take_injected()) ready_.push_back(*injected);
  if (sweep_.load(std::memory_order_relaxed)) answer();
  if (told_ != nullptr && told_->load(std::memory_order_relaxed)) return ready_.push_front(root_);
  if (--turns_left_ > 0 && !bounded_) return;

  const clock::time_point now = clock::now();
  const clock::duration elapsed = now - now_;
  if (elapsed < pass_period / 2 && turns_a_pass_ < turns_a_pass_max) turns_a_pass_ *= 2;
  if (elapsed > pass_period * 2 && turns_a_pass_ > 1) turns_a_pass_ /= 2;
  turns_left_ = turns_a_pass_;
  if (bounded_ && bound_.time() <= now) {
    ready_.push_front(root_);
  } else if (elapsed >= pass_period) {
    pass();
  }
  if (surplus() != 0 && owner_.idle.load(std::memory_order_relaxed) != 0) owner_.wake_thief();
}

// A look at the kernel and the clock that does not block.
void worker::pass() noexcept {
  io_->wait(deadline::passed());
  count.polls.add();
  expire_timers();
}

void worker::expire_timers() noexcept {
  now_ = clock::now();
  if (!timers_.empty()) timers_.expire(now_, timers_a_pass);
}

void worker::empty_inbox() noexcept {
  if (inbox_.empty()) return;
  for (fiber_control* f = inbox_.take_all(); f != nullptr;) {
    fiber_control* const next = f->next;
    sort_in(*f);
    f = next;
  }
}

void worker::sort_in(fiber_control& f) noexcept {
  if (!is_newborn(f)) {
    // As in settle(): it may come from a worker that had not swept yet, to one that had.
    if (f.stealable && owner_.stopping()) (void)f.request_cancel();
    // Moved here on purpose, it must not be moved on at once.
    owner_.options().force_migration ? ready_.push_back(f) : make_ready(f);
  } else if (f.placed) {
    ready_.push_back(f);
  } else {
    push_newborn(f);
  }
}

fiber_control* worker::steal() noexcept {
  const unsigned workers = owner_.size();
  if (workers == 1) return nullptr;
  const std::uint32_t first = random();  // victims in no particular order
  fiber_control* stolen = nullptr;
  for (unsigned i = 0; i < workers && stolen == nullptr; ++i) {
    worker& victim = owner_.at((first + i) % workers);
    if (&victim == this) continue;
    if (stolen = victim.take_newborn(); stolen != nullptr) {
      count.newborns_stolen.add();
    } else if (stolen = victim.take_shared(); stolen != nullptr) {
      settle(*stolen);
      count.fibers_stolen.add();
    }
    if (stolen != nullptr && victim.surplus() != 0) {
      owner_.thief_done();
      owner_.wake_thief();
      return stolen;
    }
  }
  owner_.thief_done();
  return stolen;
}

// The store of `sleeping` comes before the look at the inbox, a giver's push before its look at the state:
// one of the two sees the other. A missed newborn of another worker only costs parallelism, not liveness.
void worker::sleep() noexcept {
  if (spin_ != clock::duration::zero() && spin()) return;
  const clock::time_point before = now_;
  owner_.idle.fetch_add(1, std::memory_order_relaxed);
  state_.store(sleeping, std::memory_order_seq_cst);
  bool work = !inbox_.empty() || sweep_.load(std::memory_order_seq_cst) || owner_.has_injected();
  for (unsigned i = 0; i < owner_.size() && !work; ++i) work = owner_.at(i).surplus() != 0;
  io_->wait(work ? deadline::passed() : timers_.next());
  state_.store(awake, std::memory_order_relaxed);
  owner_.idle.fetch_sub(1, std::memory_order_relaxed);
  owner_.note_awake();
  count.polls.add();
  if (!work) count.sleeps.add();
  expire_timers();
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

// ---- switching ----

// The first thing on the new side of a jump: the fiber that was left is whole only now.
ZSYNC_INLINE void worker::arrive(void* left) noexcept {
  checker::arrive(left_->checked, current_->checked);
  left_->context = left;
  if (afterwards_ != afterwards::nothing) [[unlikely]]
    settle_left();
}

ZSYNC_INLINE void worker::switch_to(fiber_control& next, afterwards then) noexcept {
  fiber_control& self = *current_;
  left_ = &self;
  afterwards_ = then;
  current_ = &next;
  count.switches.add();
  self.saved_errno = *errno_;
  self.exceptions = *exceptions_;
  checker::leave(self.checked, next.checked, then == afterwards::bury);
  *exceptions_ = next.exceptions;
  *errno_ = next.saved_errno;
  const transfer from = jump(next.context, this);
  // Here again, perhaps on another thread: what was loaded before the jump is the old worker's.
  static_cast<worker*>(from.data)->arrive(from.fctx);
}

struct fiber_entry {
  // The bottom of every fiber's stack. What run() lets escape finds no handler and ends the process at the
  // throw.
  [[noreturn]] static void enter(transfer from) {
    auto* here = static_cast<worker*>(from.data);
    here->arrive(from.fctx);
    for (;;) {
      here->floats_.restore();
      here->current_->run();
      here = current_worker();  // the fiber may have moved
      here->follow();
    }
  }
};

[[gnu::flatten]] void worker::suspend() noexcept {
  fiber_control& next = pick_prepared();
  if (&next != current_) switch_to(next, afterwards::nothing);
}

[[gnu::flatten]] void worker::yield() noexcept {
  fiber_control& self = *current_;
  if (fiber_control* const youngest = newborns_.pop_youngest()) ready_.push_back(*youngest);
  if (!self.stealable) [[likely]] {
    ready_.push_back(self);
    suspend();
    return;
  }
  // Others may take it once it has left its stack, so until then it must stand nowhere, and the one that
  // runs next must come from the ready queue, for where nothing is ready the worker would sleep.
  for (;;) {
    if (--picks_left_ <= 0) take_turn();
    refill();
    fiber_control* const next = ready_.pop_front();
    if (next == nullptr) return;
    if (!is_newborn(*next) || give_stack(*next)) return switch_to(*next, afterwards::share);
  }
}

// Something for an empty ready queue, if there is anything but newborns.
void worker::refill() noexcept {
  if (!ready_.empty()) return;
  empty_inbox();
  if (!ready_.empty()) return;
  if (fiber_control* const shared = shared_.take_oldest()) ready_.push_back(*shared);
}

// The stack that the caller stands on belongs to a fiber that has ended. A newborn goes on with it.
[[gnu::flatten]] void worker::follow() noexcept {
  fiber_control& ended = *current_;
  if (measures_) [[unlikely]]
    owner_.meter()->record(ended);
  ended.memory.slot->owner.store(nullptr,
                                 std::memory_order_relaxed);  // no fiber any more, for who lists them
  fiber_control* next = &pick();
  if (!checker::active && is_newborn(*next) && next->stack_size == ended.stack_size && !ended.stealable) {
    next->memory = std::exchange(ended.memory, {});
    prepare(*next);
    next->context = next;  // anything: it has begun
    current_ = next;
    count.switches.add();
    *errno_ = 0;
    ended.release();
    return;
  }
  while (is_newborn(*next) && !give_stack(*next)) next = &pick();
  switch_to(*next, afterwards::bury);
  __builtin_unreachable();
}

[[gnu::flatten]] void worker::settle_left() noexcept {
  if (std::exchange(afterwards_, afterwards::nothing) == afterwards::share) {
    make_ready(*left_);
    return;
  }
  checker::end(left_->checked);
  take_stack(*left_);
  left_->release();
}

void worker::note_end() noexcept {
  count.finished.add();
  if (owner_.stopping()) [[unlikely]]
    owner_.note_end();
}

// ---- stacks ----

// False: there is none to be had, and the newborn has ended with that error.
bool worker::give_stack(fiber_control& f) noexcept {
  if (hot_stacks_ != 0 && f.stack_size == default_stack_size_) [[likely]] {
    f.memory = hot_[--hot_stacks_];
  } else if (!give_new_stack(f)) {
    return false;
  }
  prepare(f);
  checker::begin(f.checked, f.memory.bottom, f.memory.size());
  f.context = make_context(f.memory, &fiber_entry::enter);
  return true;
}

bool worker::give_new_stack(fiber_control& f) noexcept {
  f.memory = owner_.stacks().allocate(f.stack_size);
  if (f.memory) [[likely]]
    return true;
  f.abandon();
  f.release();
  return false;
}

// Cancelled here if the runtime is ending: the sweep of the worker that it left may find it gone, when ours
// is over already.
void worker::settle(fiber_control& f) noexcept {
  f.home.store(this, std::memory_order_relaxed);
  f.memory.slot->home.store(this, std::memory_order_relaxed);
  f.memory.slot->owner.store(&f, std::memory_order_relaxed);
  if (owner_.stopping()) [[unlikely]]
    (void)f.request_cancel();
}

// Before a newborn begins on it, and never later: what it forgets is what the stack held.
void worker::prepare(fiber_control& f) noexcept {
  settle(f);
  if (measures_) [[unlikely]]
    stack_meter::prepare(f.memory);
}

void worker::take_stack(fiber_control& f) noexcept {
  const stack memory = f.memory;
  f.memory = {};
  if (f.stealable || hot_stacks_ == hot_.size() || f.stack_size != default_stack_size_) [[unlikely]] {
    return give_back(f, memory);
  }
  memory.slot->home.store(nullptr, std::memory_order_relaxed);
  memory.slot->owner.store(nullptr, std::memory_order_relaxed);
  hot_[hot_stacks_++] = memory;
  owner_.stacks().note_kept();
}

void worker::give_back(fiber_control& f, const stack& memory) noexcept {
  {
    // cancel_all() of the worker that it came from may be looking at it.
    std::unique_lock hold(owner_.stacks().lock(), std::defer_lock);
    if (f.stealable) hold.lock();
    memory.slot->home.store(nullptr, std::memory_order_relaxed);
  }
  owner_.stacks().release(memory);
}

// ---- being given fibers ----

void worker::make_ready(fiber_control& f) noexcept {
  if (!f.stealable || f.anchored || &f == current_) [[likely]]
    return ready_.push_back(f);
  if (f.waiting_in != nullptr) timers_.cancel(*f.waiting_in);  // while it is certain to stand in ours
  if (owner_.options().force_migration && owner_.size() > 1) [[unlikely]]
    return move_away(f);
  try {
    shared_.push(f);
  } catch (const std::bad_alloc&) {
    ready_.push_back(f);
  }
}

void worker::move_away(fiber_control& f) noexcept {
  worker& other = owner_.at((index_ + 1) % owner_.size());
  f.home.store(&other, std::memory_order_relaxed);
  f.memory.slot->home.store(&other, std::memory_order_relaxed);
  if (owner_.stopping()) (void)f.request_cancel();  // as in steal()
  other.give(f);
}

void worker::push_newborn(fiber_control& f) noexcept {
  try {
    newborns_.push(f);
  } catch (const std::bad_alloc&) {
    ready_.push_back(f);  // as good, but for those who could have stolen it
  }
  if (owner_.idle.load(std::memory_order_relaxed) != 0 && newborns_.size() > 1) owner_.wake_thief();
}

void worker::give(fiber_control& f) noexcept {
  // The runtime cannot end before the fiber has, but the fiber may end as soon as it is pushed.
  visitors_.fetch_add(1, std::memory_order_relaxed);
  inbox_.push(f);
  wake_if_asleep();
  visitors_.fetch_sub(1, std::memory_order_release);
}

bool worker::wake_if_asleep() noexcept {
  if (state_.load(std::memory_order_seq_cst) != sleeping) return false;
  if (state_.exchange(awake, std::memory_order_seq_cst) != sleeping) return false;
  io_->wake();
  return true;
}

void worker::request_sweep() noexcept {
  sweep_.store(true, std::memory_order_seq_cst);
  wake_if_asleep();
}

void worker::cancel_all() noexcept {
  owner_.stacks().for_each_slot([this](stack_slot& slot) {
    if (slot.home.load(std::memory_order_relaxed) != this) return;
    fiber_control* const f = slot.owner.load(std::memory_order_relaxed);
    if (f == nullptr || !f->request_cancel()) return;
    f->cause = wake_cause::cancelled;
    schedule(*f);  // it may have been stolen, and begun to wait elsewhere, since we looked at its slot
  });
}

// ---- the root ----

std::size_t worker::run_round() noexcept {
  const std::uint64_t before = count.switches.get();
  pass();
  empty_inbox();
  if (sweep_.load(std::memory_order_relaxed)) answer();
  while (fiber_control* const f = newborns_.take_oldest()) ready_.push_back(*f);
  while (fiber_control* const f = owner_.take_injected()) ready_.push_back(*f);
  if (ready_.empty() && shared_.empty()) return 0;
  while (fiber_control* const f = shared_.take_oldest()) ready_.push_back(*f);
  ready_.push_back(root_);
  suspend();
  const std::uint64_t ran = count.switches.get() - before;
  // The caller may wait for native_handle() now, so the kernel has to have what the round asked of it.
  if (ready_.empty()) pass();
  return ran == 0 ? 0 : ran - 1;  // the last one led back here
}

bool worker::idle() const noexcept {
  return ready_.empty() && inbox_.empty() && surplus() == 0 && !owner_.has_injected();
}

void worker::block() noexcept {
  if (idle()) sleep();
}

std::size_t worker::run_ready(deadline until, const std::atomic<bool>* told) noexcept {
  const std::uint64_t before = count.switches.get();
  returns_when_idle_ = true;
  bounded_ = !until.is_never();
  bound_ = until;
  told_ = told;
  if (bounded_) picks_left_ = 1;
  suspend();
  returns_when_idle_ = bounded_ = false;
  told_ = nullptr;
  const std::uint64_t ran = count.switches.get() - before;
  return ran == 0 ? 0 : ran - 1;
}

// ---- control blocks ----

std::uint64_t worker::next_id() noexcept {
  if (ids_ == ids_end_) {
    ids_ = owner_.take_ids(ids_at_once);
    ids_end_ = ids_ + ids_at_once;
  }
  return ids_++;
}

std::size_t block_size(std::size_t size) noexcept {
  for (const std::size_t s : block_sizes) {
    if (size <= s) return s;
  }
  return size;
}

// By size; with a memory checker on, blocks are not reused, so that it sees who uses a dead one.
int worker::block_list(std::size_t size) noexcept {
  for (std::size_t i = 0; i < std::size(block_sizes) && !checker::active; ++i) {
    if (size <= block_sizes[i]) return static_cast<int>(i);
  }
  return -1;
}

void* worker::allocate(std::size_t size) {
  const int list = block_list(size);
  if (list < 0 || blocks_[list] == nullptr) return ::operator new(block_size(size));
  --blocks_kept_[list];
  return std::exchange(blocks_[list], blocks_[list]->next);
}

void worker::deallocate(void* block, std::size_t size) noexcept {
  const int list = block_list(size);
  if (list < 0 || blocks_kept_[list] == blocks_kept_max) {
    ::operator delete(block);
    return;
  }
  ++blocks_kept_[list];
  blocks_[list] = new (block) free_block{blocks_[list]};
}

}  // namespace zsync::detail
