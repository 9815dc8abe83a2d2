// A worker: one thread that runs fibers. Not a public header; io/ uses it to reach its engine.
#pragma once

#include <zsync/fiber/context.hpp>
#include <zsync/fiber/control.hpp>
#include <zsync/fiber/float_control.hpp>
#include <zsync/fiber/overflow.hpp>
#include <zsync/sched/block_store.hpp>
#include <zsync/sched/choice.hpp>
#include <zsync/sched/poller.hpp>
#include <zsync/sched/run_queue.hpp>
#include <zsync/sched/sleep_state.hpp>
#include <zsync/timer/timer_queue.hpp>

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace zsync::detail {

class scheduler;
struct worker_listing;
class delayed_calls;
class recorder;

// The worker that the calling thread drives now; nullptr on a plain thread. Out of line and never inlined:
// a fiber may be on another thread after any wait, so the compiler must not keep the thread-local's address.
worker* current_worker() noexcept;

// The calling fiber; nullptr on a plain thread, and while a loop's own thread is not within the loop.
fiber_control* current_fiber() noexcept;

// The same, but nullptr at a worker's root as well: who drives a loop is its own thread, in what is said of
// fibers (identity, name, locals), while its waits are a fiber's.
fiber_control* current_fiber_but_root() noexcept;

// Names the calling thread, and never another one: the system's own names are given again.
std::uint64_t this_thread_number() noexcept;

// What stands for the calling thread while it waits; it is about to.
[[gnu::noinline]] parker& thread_party() noexcept;

// While one lives, the calling worker's thread counts as a plain thread. For destructors of users' objects
// that have to run where no fiber does, in the midst of choosing the next: a wait in one of them blocks the
// worker, but does not upset the choosing.
class outside_of_fibers {
 public:
  outside_of_fibers() noexcept;
  ~outside_of_fibers();
  outside_of_fibers(const outside_of_fibers&) = delete;
  outside_of_fibers& operator=(const outside_of_fibers&) = delete;

 private:
  worker* const driven_;
};

// A figure that one thread writes and others may read.
class counter {
 public:
  // Release: who sees a fiber counted as finished, with the fence in alive(), sees it counted as spawned.
  void add(std::uint64_t n = 1) noexcept { value_.store(get() + n, std::memory_order_release); }
  [[nodiscard]] std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// sched/README.md says in which order it picks.
class worker {
 public:
  worker(scheduler& owner, unsigned index, std::unique_ptr<poller> io);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  // Driving it. The calling thread's own stack becomes the root: a fiber like others, which may wait, and
  // goes on when its wait ends. Always the same thread, the first whose enter() succeeds.
  void enter();           // the calling thread drives this worker now; throws if its poller does not work
  void leave() noexcept;  // and now no more
  // Root only; how many times a fiber ran. A round runs once what is ready now; run_ready() goes on until
  // nothing is ready, until a slice ends past `until`, or soon after `*stop_flag` has become true.
  std::size_t run_round() noexcept;
  std::size_t run_ready(deadline until, const std::atomic<bool>* stop_flag = nullptr) noexcept;
  void block() noexcept;  // in the kernel, until something may be ready
  // The caller leaves, and may wait for native_handle() then: so the kernel has to have what was asked of it.
  void settle() noexcept;
  // For a simulation, instead of these: what might happen next here, and that one of these happens now, up to
  // the next switch. `events`: its poller has something to tell.
  void offer(std::vector<choice>& to, bool events) noexcept;
  void carry_out(const choice& chosen) noexcept;  // driven
  // Nothing is ready: the caller may block.
  [[nodiscard]] bool idle() const noexcept;

  // The calling fiber, on its own worker.
  [[nodiscard]] fiber_control& current() const noexcept { return *current_; }
  [[nodiscard]] bool at_root() const noexcept { return current_ == &root_; }
  void suspend() noexcept;  // until made ready; the caller's wait is open
  void yield() noexcept;    // lets every other ready fiber run once
  // The caller is about to wait for the end of `f`. If `f` is a newborn that would be picked next in any
  // case, it begins at once, and the caller goes on when it ends or first waits: usually it has ended by
  // then, and nobody had to be woken. Then the caller holds the reference of its run as well.
  bool begin_in_place(fiber_control& f) noexcept;

  // This worker's thread.
  void make_ready(fiber_control& f) noexcept {
    if (!f.stealable || f.anchored || &f == current_) [[likely]]
      return ready_.push_back(f);
    share(f);
  }
  void push_newborn(fiber_control& f) noexcept;
  [[nodiscard]] timer_queue& timers() noexcept { return timers_; }
  [[nodiscard]] poller& io() noexcept { return *io_; }
  // As of the last look at the clock: less than a poll old while the worker is busy.
  [[nodiscard]] clock::time_point roughly_now() const noexcept { return now_; }
  // Somebody runs as soon as the calling fiber waits.
  [[nodiscard]] bool others_ready() const noexcept { return !ready_.empty(); }
  [[nodiscard]] std::uint64_t next_id() noexcept;
  void note_end() noexcept;  // the calling fiber is about to end
  // Never 0; Marsaglia's xorshift. A select asks it, and is no party to it for a checker.
  [[nodiscard]] __attribute__((no_sanitize("thread"))) std::uint32_t random() noexcept {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 17;
    random_ ^= random_ << 5;
    return random_;
  }
  [[nodiscard]] block_store& blocks() noexcept { return blocks_; }
  // Cancels the fibers that are at home here.
  void cancel_all() noexcept;

  void look_soon() noexcept;  // the next pick answers
  [[nodiscard]] const std::shared_ptr<delayed_calls>& delayed() const noexcept { return delayed_; }
  void list_fibers(worker_listing& into) noexcept;
  void answer_listing() noexcept;  // if somebody asks

  // For traces; see recorder.hpp. From any thread that made `f` ready, or has spawned it: it must not run
  // yet.
  [[nodiscard]] bool records() const noexcept { return records_; }
  [[gnu::noinline]] void record_wake(const fiber_control& f, bool newborn = false) noexcept;
  [[nodiscard]] recorder* recorded() const noexcept { return recorder_.get(); }  // nullptr: nothing is

  // Any thread.
  [[gnu::noinline]] void give(fiber_control& f) noexcept;  // a claimed fiber of this worker, or a newborn
  void request_attention() noexcept;                       // an answer(), soon
  // For a listing of its fibers; see listing.hpp.
  bool ask(worker_listing& question) noexcept;         // false: somebody else asks
  bool withdraw(worker_listing& question) noexcept;    // false: it is being answered
  bool list_if_parked(worker_listing& into) noexcept;  // false: a thread drives it, so ask
  bool signal_driver(int signal) noexcept;             // false: no thread drives it
  [[nodiscard]] bool driven() const noexcept {
    return driver_.load(std::memory_order_acquire) != driver::nobody;
  }
  // A plain thread's question: it has driven this worker before, and so nobody runs its fibers while it
  // waits.
  [[nodiscard]] bool rests_with_this_thread() const noexcept;
  bool wake_if_asleep() noexcept;        // false: it was awake
  void wake() noexcept { io_->wake(); }  // its next block() returns at once
  [[nodiscard]] bool asleep() const noexcept { return sleep_.asleep(); }
  [[nodiscard]] bool has_visitors() const noexcept { return visitors_.load(std::memory_order_acquire) != 0; }
  [[nodiscard]] fiber_control* take_newborn() noexcept { return newborns_.take_oldest(); }
  [[nodiscard]] fiber_control* take_shared() noexcept { return shared_.take_oldest(); }
  [[nodiscard]] std::size_t surplus() const noexcept { return newborns_.size() + shared_.size(); }
  [[nodiscard]] scheduler& owner() const noexcept { return owner_; }
  [[nodiscard]] worker* outer() const noexcept { return outer_; }  // its thread, or a handler on it
  [[nodiscard]] unsigned index() const noexcept { return index_; }

  // Read by anybody, written by the worker.
  struct {
    counter spawned, finished, switches, newborns_stolen, fibers_stolen, polls, sleeps;
  } count;

 private:
  enum class afterwards : std::uint8_t { nothing, share, bury };

  static constexpr std::int32_t picks_per_tick = 16;
  static constexpr std::int32_t ticks_per_oldest = 64;
  static constexpr std::uint64_t ids_at_once = 1024;

  class root_fiber final : public fiber_control {
   public:
    void run() override {}
    void abandon() noexcept override {}
  };

  fiber_control& pick() noexcept;           // may be a newborn, or the caller itself
  fiber_control& pick_prepared() noexcept;  // no newborn any more
  [[gnu::noinline]] fiber_control& pick_slowly() noexcept;
  fiber_control* pick_here() noexcept;
  fiber_control* steal() noexcept;
  fiber_control* steal_from(worker& victim) noexcept;
  [[gnu::noinline]] void tick() noexcept;  // once in so many picks: all that is not the ready queue
  fiber_control* take_in_turn() noexcept;
  void refill() noexcept;
  void return_to_root() noexcept;
  void poll_kernel() noexcept;
  [[gnu::noinline]] bool record_stop() noexcept;
  [[gnu::noinline]] void record_poll(clock::time_point since, bool could_block) noexcept;
  [[nodiscard]] clock::time_point begin_poll() noexcept;
  void end_poll(clock::time_point since, bool could_block) noexcept;
  void expire_timers() noexcept;
  void empty_inbox() noexcept;
  void sort_in(fiber_control& f) noexcept;
  [[gnu::noinline]] void end_search() noexcept;
  void sleep() noexcept;
  bool nap(deadline until) noexcept;
  [[nodiscard]] bool sees_work() const noexcept;
  bool spin() noexcept;
  [[gnu::noinline]] void share(fiber_control& f) noexcept;  // ready, and may move
  void move_away(fiber_control& f) noexcept;
  [[gnu::noinline]] void announce() noexcept;

  [[noreturn]] static void enter_fiber(transfer from);
  void switch_to(fiber_control& next, afterwards then) noexcept;
  void arrive(void* left) noexcept;
  // For callers that the checkers take for the scheduler already.
  void suspend_aside() noexcept;
  void yield_aside(fiber_control& self) noexcept;
  void settle_aside() noexcept;
  bool begin_in_place_aside(fiber_control& self, fiber_control& f) noexcept;
  void release_run(fiber_control& ended) noexcept;
  void prepare_round() noexcept;
  void run_slice(fiber_control& f) noexcept;
  void follow() noexcept;
  [[gnu::noinline]] void after_switch() noexcept;
  bool give_stack(fiber_control& f) noexcept;
  [[gnu::noinline]] bool give_new_stack(fiber_control& f) noexcept;
  void take_stack(fiber_control& f) noexcept;
  void adopt(fiber_control& f) noexcept;
  void prepare(fiber_control& f) noexcept;
  void answer() noexcept;
  [[nodiscard]] bool keeps(const fiber_control& f) const noexcept;
  void describe(const fiber_control& f, worker_listing& into) const;
  void list_each(worker_listing& into);
  void begin_driving() noexcept;
  void end_driving() noexcept;

  // The worker's thread only, in the order in which the hot path touches them.
  fiber_control* current_ = nullptr;
  ready_queue ready_;
  ready_queue yielded_;                       // behind newborns
  std::int32_t picks_left_ = picks_per_tick;  // until the next tick
  afterwards afterwards_ = afterwards::nothing;
  bool returns_when_idle_ = false;  // pick() yields the root rather than sleeping
  bool bounded_ = false;            // pick() yields the root once `bound_` has passed
  const bool records_;              // each pick is a tick, in which it is recorded
  fiber_control* left_ = nullptr;   // whose stack the last jump left
  exception_state* exceptions_ = nullptr;
  checker_nobody nobody_;
  int* errno_ = nullptr;
  float_control floats_;         // the thread's, with which fibers begin
  std::int32_t ticks_left_ = 1;  // until the clock is read; adapts to how long slices are
  std::int32_t ticks_per_poll_ = 1;
  std::int32_t ticks_left_for_oldest_ = ticks_per_oldest;
  std::int32_t turn_ = 0;  // whose it was at the last tick
  clock::time_point now_{};
  deadline bound_;
  const std::atomic<bool>* stop_flag_ = nullptr;  // to return
  clock::duration spin_{};                        // how long to look for work before sleeping
  int spins_in_vain_ = 0;                         // 0, 1, 3, 7 ...: how many to skip after the next such
  int spins_to_skip_ = 0;
  timer_queue timers_;
  std::unique_ptr<poller> io_;
  std::uint32_t hot_stacks_ = 0;         // how many of the next there are
  std::array<stack, 32> hot_;            // stacks of the default size, most recently used last
  block_store blocks_;                   // for control blocks
  std::uint64_t ids_ = 0, ids_end_ = 0;  // taken and not yet given
  std::uint32_t random_;
  bool attached_ = false;    // its poller knows its thread, and nobody else may drive it
  alternate_stack signals_;  // of the thread that drives it
  worker* outer_ = nullptr;  // what the thread drove when it entered this one
  scheduler& owner_;
  const std::uint32_t default_stack_size_;
  const unsigned index_;
  const bool measures_;  // the stacks of its fibers
  const std::shared_ptr<delayed_calls> delayed_;
  const std::unique_ptr<recorder> recorder_;
  root_fiber root_;

  // Others take from these.
  stealing_deque newborns_;
  stealing_deque shared_;  // started fibers that may move

  // Others write these.
  alignas(64) inbox inbox_;
  sleep_state sleep_;
  std::atomic<std::uint32_t> visitors_{0};  // threads within give()
  std::atomic<bool> attention_{false};      // answer() has something to do
  std::atomic<worker_listing*> question_{nullptr};
  enum class driver : std::uint8_t { nobody, changing, thread, signalled, lister };
  std::atomic<driver> driver_{driver::nobody};
  pthread_t thread_{};                           // which drives it; written by it
  std::atomic<std::uint64_t> thread_number_{0};  // of the one that drives it, or did last
};

// While one lives, the calling thread is the worker; before and after, it is a plain thread.
class driving {
 public:
  explicit driving(worker& w) : worker_(w) { worker_.enter(); }
  ~driving() { worker_.leave(); }
  driving(const driving&) = delete;
  driving& operator=(const driving&) = delete;

 private:
  worker& worker_;
};

// The same, for a plain thread that waits as the worker's root, rather than to run what is ready.
class driving_to_wait {
 public:
  explicit driving_to_wait(worker& w) : worker_(w), driving_(w) {}
  ~driving_to_wait() { worker_.settle(); }
  driving_to_wait(const driving_to_wait&) = delete;
  driving_to_wait& operator=(const driving_to_wait&) = delete;

 private:
  worker& worker_;
  const driving driving_;
};

}  // namespace zsync::detail
