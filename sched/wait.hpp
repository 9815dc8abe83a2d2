// The one way to sleep, and the one way to be woken.
//
// A primitive waits in four steps, the first three under the lock that guards its queue:
//
//     std::unique_lock guard(lock_);
//     if (/* it can go on */) return;
//     wait w(wait_kind::mutex, this, wait::uncancellable);
//     if (!w.open()) { ... }                    // cancelled or notified before it began
//     waiter me(w);
//     waiters_.push_back(me);
//     guard.unlock();
//     const wait_end end = w.suspend(until);
//     if (!end.notified()) { guard.lock(); waiters_.remove(me); }
//
// and is woken in two, the first under that lock, the second better after it:
//
//     waiter* woken = waiters_.claim_front();   // nullptr: nobody
//     parker* party = woken ? woken->party : nullptr;
//     guard.unlock();
//     if (party) schedule(*party);
//
// Whoever loses the claim (see parker.hpp) touches neither `wait` nor `waiter` once the lock is released,
// and the owner takes its waiter out under the same lock, so both can live on the sleeper's stack.
#pragma once

#include <zsync/fiber/parker.hpp>
#include <zsync/timer/deadline.hpp>
#include <zsync/timer/timer_queue.hpp>

#include <cstdint>
#include <string_view>

namespace zsync::detail {

// Why a fiber waits: for dumps, deadlock reports and traces. Dumps cast wait::on() to the type that is named
// here, unless it is null; where none is named, it is only printed, as an address.
enum class wait_kind : std::uint8_t {
  sleep,
  park,
  join,   // on a task
  group,  // on a task_group
  blocking,
  channel_send,     // on a channel_figures
  channel_receive,  // on a channel_figures
  select,           // on a selection, of channel/select.cpp
  future,
  mutex,         // on a lock_word
  shared_mutex,  // on a shared_lock_state
  condition,
  semaphore,
  latch,
  barrier,
  once,
  event,
  wait_group,
  io_read,  // on a descriptor, as the four below
  io_write,
  io_accept,
  io_connect,
  io_other,
  broadcast_receive,
  resolve,
  connect_race,
  runtime_end,
};
std::string_view to_string(wait_kind why) noexcept;

class fiber_control;
class worker;

// The caller, who is about to wait: the fiber, or what stands for a plain thread.
parker& waiting_party() noexcept;

// How a wait ended. It stays true when the caller has waited for something else meanwhile.
class wait_end {
 public:
  wait_end(wake_cause cause, bool scope_expired) noexcept : cause_(cause), scope_expired_(scope_expired) {}

  [[nodiscard]] bool notified() const noexcept { return cause_ == wake_cause::notified; }
  operator wake_cause() const noexcept { return cause_; }  // NOLINT: implicit; whoever's the deadline was

  // True: notified. False: the deadline given to suspend() has passed. Otherwise throws: `cancelled`, or
  // std::system_error(error::deadline_expired) for a deadline scope. Never gives a turn to others, so a lock
  // may be held.
  [[nodiscard]] bool or_throw() const {
    if (notified()) [[likely]]
      return true;
    if (cause_ == wake_cause::timed_out && !scope_expired_) return false;
    throw_it(cause_);
  }

 private:
  [[noreturn]] static void throw_it(wake_cause why);

  wake_cause cause_;
  bool scope_expired_;
};

// One sleep of the calling fiber or plain thread. Lives on its stack.
class wait : private timer_node {
 public:
  // Flags, to be combined with |.
  enum acceptance : std::uint32_t {
    uncancellable = 0,
    cancellable = parker::cancellable,
    wakeable = parker::wakeable,  // also by waker::wake()
    unscoped = 256,               // deadline scopes do not end it: for what must be done in any case
    anchored = 512,               // goes on on the worker where it began, even if the fiber may move
  };

  // `on` is the object that is waited for. A cancellation shield makes any wait uncancellable.
  wait(wait_kind why, const void* on, std::uint32_t accepts) noexcept
      : wait(waiting_party(), why, on, accepts) {}
  // For a caller that knows its own parker, `party`.
  wait(parker& party, wait_kind why, const void* on, std::uint32_t accepts) noexcept
      : timer_node(&wait::expire), party_(&party), on_(on), accepts_(accepts), why_(why) {}
  ~wait() = default;
  wait(const wait&) = delete;
  wait& operator=(const wait&) = delete;

  // From here on the wait can be claimed; so before anybody else can see it. False: it is over before it
  // began, cause() says why, and suspend() must not be called. A wait that is not wakeable was cancelled
  // then: see throw_cancelled().
  [[nodiscard]] bool open() noexcept;

  // Lets others run until the wait is claimed, `until` has passed, or the tightest deadline scope around it
  // has. Must follow a successful open(). Throws nothing: the cause is the result.
  wait_end suspend(deadline until = deadline::never()) noexcept {
    const wake_cause why = sleep(until);
    if (why == wake_cause::notified) [[likely]]
      return {why, false};
    return {why, scope_expired_};
  }

  [[nodiscard]] wake_cause cause() const noexcept { return party_->cause; }

  // After timed_out: the deadline scope ended it, not the deadline given to suspend().
  [[nodiscard]] bool scope_expired() const noexcept { return scope_expired_; }

  // Which of several waiters ended it, by waiter::index.
  [[nodiscard]] std::uint16_t fired() const noexcept { return party_->fired; }

  [[nodiscard]] parker& party() const noexcept { return *party_; }
  [[nodiscard]] wait_kind why() const noexcept { return why_; }
  [[nodiscard]] const void* on() const noexcept { return on_; }
  [[nodiscard]] deadline until() const noexcept { return until_; }
  [[nodiscard]] clock::time_point since() const noexcept { return since_; }

 private:
  friend class worker;

  wake_cause sleep(deadline until) noexcept;
  void suspend_fiber(fiber_control& fiber) noexcept;
  [[gnu::noinline]] void suspend_thread() noexcept;
  [[gnu::noinline]] void start_timer(worker& here) noexcept;
  [[gnu::noinline]] void time_out() noexcept;
  static void expire(timer_node& node) noexcept;

  parker* const party_;
  const void* on_;
  const std::uint32_t accepts_;
  const wait_kind why_;
  bool scope_expired_ = false;
  deadline until_;
  deadline scope_;
  clock::time_point since_{};
};

// For who is about to tell his caller that he is cancelled, with nothing locked. Waits of a cancelled fiber
// end before they begin, so one that goes on and waits again, whatever it is told, would keep its worker for
// itself, and the runtime's end from coming: all others that are ready have a turn first.
void give_way_to_others() noexcept;
[[noreturn]] void throw_cancelled();

// Makes the next waits of the calling fiber or thread end at `until` at the latest; scopes nest.
struct deadline_frame {
  deadline until;  // the tightest of this scope and those around it
  deadline_frame* outer;
};
deadline_frame*& innermost_deadline() noexcept;  // of the caller; valid until its next wait

// A wait of the caller with that deadline, and what it accepts, would be over before it begins.
[[nodiscard]] bool has_no_time(std::uint32_t accepts, deadline until) noexcept;

// Makes the owner of a claimed wait runnable. From any thread; only the winner of the claim, and once. The
// winner must not touch the wait, or anything on the sleeper's stack, afterwards.
void schedule(parker& claimed) noexcept;

// A place in one wait queue. A select has several, all of one wait.
struct waiter {
  explicit waiter(const wait& w, std::uint16_t index_ = 0, void* slot_ = nullptr) noexcept
      : party(&w.party()), slot(slot_), index(index_) {}
  waiter(const waiter&) = delete;
  waiter& operator=(const waiter&) = delete;

  // Under the queue's lock. True: the caller has won the wait and must schedule `party`.
  [[nodiscard]] bool claim() const noexcept {
    if (!party->claim()) return false;
    party->cause = wake_cause::notified;
    party->fired = index;
    return true;
  }

  waiter* next = nullptr;
  waiter* previous = nullptr;
  parker* party;
  void* slot;           // whatever the two sides agree on: where to leave a value, or to take it from
  std::uint16_t index;  // which case of a select
  bool queued = false;
};

// First in, first out. Guarded by the lock of the primitive that owns it.
class wait_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] waiter* front() const noexcept { return head_; }

  void push_back(waiter& w) noexcept {
    w.queued = true;
    w.next = nullptr;
    w.previous = tail_;
    (tail_ == nullptr ? head_ : tail_->next) = &w;
    tail_ = &w;
  }

  // Nothing happens if a claim has already taken it out.
  void remove(waiter& w) noexcept {
    if (!w.queued) return;
    w.queued = false;
    (w.previous == nullptr ? head_ : w.previous->next) = w.next;
    (w.next == nullptr ? tail_ : w.next->previous) = w.previous;
  }

  // Takes out the oldest waiter whose wait could be won, and those before it that were already over.
  // The caller must schedule its party. nullptr: nobody waits.
  [[nodiscard]] waiter* claim_front() noexcept {
    while (waiter* const first = head_) {
      first->queued = false;
      head_ = first->next;
      (head_ == nullptr ? tail_ : head_->previous) = nullptr;
      if (first->claim()) [[likely]]
        return first;
    }
    return nullptr;
  }

 private:
  waiter* head_ = nullptr;
  waiter* tail_ = nullptr;
};

}  // namespace zsync::detail
