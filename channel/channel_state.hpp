// What the ends of a channel share: its buffer, and the queues of those that wait to send or to receive.
//
// One lock guards everything, and is held for one message at a time. Under it, these always hold:
//     receivers wait  =>  the buffer is empty, no sender of another party waits, and the channel is open;
//     senders wait    =>  the buffer is full (of zero places, if a rendezvous), and the channel is open.
// (A select that sends and receives may stand in both queues: it does not meet itself.)
// So a caller finds a counterpart that waits, and serves it; or finds room, or a message; or has to wait. A
// waiter that is woken has been served, and does not touch the channel again.
//
// To serve is to claim the waiter, and to move the message straight from one side to the other. If that move
// throws, the running side gets the exception, the message stays where it was, and the waiter is told to try
// again. Messages are moved under the lock, a spinlock, and an element of the buffer that was moved from is
// destroyed under it: neither operation may use the channel, or wait. sender.hpp tells users so.
#pragma once

#include <zsync/channel/channel_figures.hpp>
#include <zsync/channel/deadline_of.hpp>
#include <zsync/channel/message.hpp>
#include <zsync/channel/message_buffer.hpp>
#include <zsync/channel/status.hpp>
#include <zsync/channel/turns.hpp>
#include <zsync/channel/wake_chain.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace zsync::detail {

// How a waiter was served. Written by the side that runs, between its claim and the schedule.
enum class handover : std::uint8_t { retry, done, closed };

// What a waiting sender offers; waiter::slot points at it.
template <class T>
struct send_slot {
  T* message;
  handover result = handover::retry;
};

// Where a waiting receiver wants its message: a new object, or one that is there already.
template <class T>
struct receive_slot {
  std::optional<T>* fresh;
  T* existing = nullptr;
  handover result = handover::retry;

  void put(T&& message) {
    if (existing == nullptr) {
      fresh->emplace(std::move(message));
    } else if constexpr (std::is_move_assignable_v<T>) {
      *existing = std::move(message);
    }
  }
};

struct channel_access;  // see channel.hpp

// After how many messages a channel closes by itself.
enum class channel_life : std::uint8_t { unlimited, one_message };

template <class T>
class channel_state : public channel_figures {
  static_assert(is_message<T>());
  static_assert(std::is_move_constructible_v<T>, "a channel's messages have to be movable");
  static_assert(std::is_nothrow_destructible_v<T>, "the end of a message must not throw");

 public:
  using buffer = message_buffer<T>;

  explicit channel_state(std::size_t capacity, channel_life life = channel_life::unlimited)
      : channel_figures(capacity), buffer_(capacity), life_(life) {}

  // ---- both ends, one call each ------------------------------------------------------------------------

  // success, full or closed. Unless success, the message is untouched. Throws what T's constructor throws.
  channel_status try_send(T& message) {
    std::unique_lock guard(lock_);
    return send_locked(message, guard);
  }

  // success, empty or closed.
  channel_status try_receive(receive_slot<T>& to) {
    std::unique_lock guard(lock_);
    return receive_locked(to, guard);
  }

  // success, timeout or closed. Also throws what the wait throws. `until` is a deadline, or a duration, for
  // which the clock is read only if the call has to wait, or gives others a turn.
  template <class Until = deadline>
  channel_status send(T& message, Until until = deadline::never()) {
    locked guard(lock_);
    if (sends_.is_long()) [[unlikely]]
      return send_and_give_turn(message, guard, deadline_of(until));
    const channel_status status = send_locked(message, guard);
    if (status != channel_status::full) [[likely]]
      return status;
    const deadline end = deadline_of(until);
    guard.release();
    return wait_to_send(message, end);
  }

  // success, timeout or closed.
  template <class Until = deadline>
  channel_status receive(receive_slot<T>& to, Until until = deadline::never()) {
    locked guard(lock_);
    if (receives_.is_long()) [[unlikely]]
      return receive_and_give_turn(to, guard, deadline_of(until));
    if (!buffer_.empty()) [[likely]] {
      take_front(to, guard);
      return channel_status::success;
    }
    const deadline end = deadline_of(until);
    guard.release();
    return wait_to_receive(to, end);
  }

  // Everyone who waits is woken. What is in the buffer can still be received.
  void close() noexcept {
    wake_chain woken;
    {
      std::lock_guard guard(lock_);
      close_locked(woken);
    }
    woken.schedule();
  }

  // ---- questions, answered without the lock: the answer may be out of date ------------------------------

  [[nodiscard]] bool may_send() const noexcept {
    return is_closed() || receivers_waiting_.load(std::memory_order_relaxed) || size() < capacity_;
  }
  [[nodiscard]] bool may_receive() const noexcept {
    return size() != 0 || is_closed() || senders_waiting_.load(std::memory_order_relaxed);
  }

  // ---- select: a wait that stands in several queues ------------------------------------------------------

  // Takes a place in the queue, unless the operation could go on at once: then returns false.
  bool enlist_sender(waiter& me) noexcept {
    std::lock_guard guard(lock_);
    // One that can grow never gets here: a send to it succeeds at once, as it does to one with room.
    if (closed_.load(std::memory_order_relaxed) || buffer_.has_room() || other_waits(receivers_, me))
      return false;
    enqueue(senders_, me);
    return true;
  }
  bool enlist_receiver(waiter& me) noexcept {
    std::lock_guard guard(lock_);
    if (!buffer_.empty() || closed_.load(std::memory_order_relaxed) || other_waits(senders_, me))
      return false;
    enqueue(receivers_, me);
    return true;
  }
  void withdraw_sender(waiter& me) noexcept {
    std::lock_guard guard(lock_);
    withdraw(senders_, me);
  }
  void withdraw_receiver(waiter& me) noexcept {
    std::lock_guard guard(lock_);
    withdraw(receivers_, me);
  }

  // ---- the ends: the channel closes with its last sender, or its last receiver ---------------------------
  // Each drop releases what its end did; the last of a kind, and the last of both, acquire it.

  void add_sender() noexcept { sender_count_.fetch_add(1, std::memory_order_relaxed); }
  void add_receiver() noexcept { receiver_count_.fetch_add(1, std::memory_order_relaxed); }
  void drop_sender() noexcept {
    if (sender_count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    close();
    drop_side();
  }
  void drop_receiver() noexcept {
    if (receiver_count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    close();
    discard();
    drop_side();
  }

 private:
  using locked = std::unique_lock<spinlock>;

  // Each of these two leaves the lock released whenever it woke somebody, held if the caller has to wait.
  [[gnu::always_inline]] inline channel_status send_locked(T& message, locked& guard) {
    for (;;) {
      if (closed_.load(std::memory_order_relaxed)) return channel_status::closed;
      if (waiter* const to = claim(receivers_, receivers_waiting_)) {
        hand_to(*to, message, guard);
        return channel_status::success;
      }
      if (buffer_.has_room()) [[likely]] {
        buffer_.push(std::move(message));
        resized(+1);
        if (life_ == channel_life::one_message) closed_.store(true, std::memory_order_release);
        return channel_status::success;
      }
      if (!buffer_.grows()) return channel_status::full;
      add_ring(guard);
    }
  }

  channel_status receive_locked(receive_slot<T>& to, locked& guard) {
    if (!buffer_.empty()) {
      take_front(to, guard);
      return channel_status::success;
    }
    if (waiter* const from = claim(senders_, senders_waiting_)) {
      take_from(*from, to, guard);
      return channel_status::success;
    }
    return closed_.load(std::memory_order_relaxed) ? channel_status::closed : channel_status::empty;
  }

  // There is one. Leaves the lock released.
  void take_front(receive_slot<T>& to, locked& guard) {
    to.put(std::move(buffer_.front()));
    const std::unique_ptr<typename buffer::ring> drained = buffer_.pop();
    resized(-1);
    if (senders_waiting_.load(std::memory_order_relaxed)) {
      refill(guard);
    } else {
      guard.unlock();
    }
  }

  // Out of the way of a message that finds its place at once. The lock is held at the call, and not at the
  // return; the channel is full.
  [[gnu::noinline]] channel_status wait_to_send(T& message, deadline until) {
    sends_.end();
    for (locked guard(lock_, std::adopt_lock);;) {
      send_slot<T> offer{std::addressof(message)};
      if (!wait_to_be_served(senders_, guard, wait_kind::channel_send, &offer, until))
        return channel_status::timeout;
      if (offer.result == handover::done) [[likely]]
        return channel_status::success;
      if (offer.result == handover::closed) return channel_status::closed;
      guard.lock();
      if (const channel_status status = send_locked(message, guard); status != channel_status::full)
        return status;
    }
  }

  // Likewise; the buffer is empty.
  [[gnu::noinline]] channel_status wait_to_receive(receive_slot<T>& to, deadline until) {
    for (locked guard(lock_, std::adopt_lock);; guard.lock()) {
      if (const channel_status status = receive_locked(to, guard); status != channel_status::empty)
        return status;
      receives_.end();
      to.result = handover::retry;
      if (!wait_to_be_served(receivers_, guard, wait_kind::channel_receive, &to, until))
        return channel_status::timeout;
      if (to.result == handover::done) [[likely]]
        return channel_status::success;
      if (to.result == handover::closed) return channel_status::closed;
    }
  }

  // For an end that has not had to wait for many messages; kept out of line. The lock is held at the call.
  [[gnu::noinline]] channel_status send_and_give_turn(T& message, locked& guard, deadline until) {
    const bool never_waits = buffer_.grows();
    const channel_status status = send_locked(message, guard);
    if (status != channel_status::full) return never_waits ? status : give_turn(guard, status);
    guard.release();
    return wait_to_send(message, until);
  }
  [[gnu::noinline]] channel_status receive_and_give_turn(receive_slot<T>& to, locked& guard, deadline until) {
    const channel_status status = receive_locked(to, guard);
    if (status != channel_status::empty) return give_turn(guard, status);
    guard.release();
    return wait_to_receive(to, until);
  }
  static channel_status give_turn(locked& guard, channel_status status) noexcept {
    if (guard.owns_lock()) guard.unlock();
    give_way_to_others();
    return status;
  }

  // The receiver `to` is claimed: whatever happens here, it has to be scheduled.
  void hand_to(waiter& to, T& message, locked& guard) {
    auto& box = *static_cast<receive_slot<T>*>(to.slot);
    try {
      box.put(std::move(message));
    } catch (...) {
      box.result = handover::retry;
      guard.unlock();
      schedule(*to.party);
      throw;
    }
    box.result = handover::done;
    if (life_ == channel_life::one_message) [[unlikely]] {
      wake_chain others;
      close_locked(others);
      guard.unlock();
      others.schedule();
    } else {
      guard.unlock();
    }
    schedule(*to.party);
  }

  // The sender `from` is claimed: likewise.
  void take_from(waiter& from, receive_slot<T>& to, locked& guard) {
    auto& offer = *static_cast<send_slot<T>*>(from.slot);
    try {
      to.put(std::move(*offer.message));
    } catch (...) {
      offer.result = handover::retry;
      guard.unlock();
      schedule(*from.party);
      throw;
    }
    offer.result = handover::done;
    guard.unlock();
    schedule(*from.party);
  }

  // A message has left the buffer: that of the sender that has waited longest takes its place. If its move
  // throws, the receiver does not hear of it: the sender is told to try again, and will meet the exception
  // itself. Leaves the lock released.
  [[gnu::noinline]] void refill(locked& guard) noexcept {
    wake_chain woken;
    while (buffer_.has_room()) {
      waiter* const from = claim(senders_, senders_waiting_);
      if (from == nullptr) break;
      auto& offer = *static_cast<send_slot<T>*>(from->slot);
      try {
        buffer_.push(std::move(*offer.message));
        resized(+1);
        offer.result = handover::done;
      } catch (...) {
        offer.result = handover::retry;
      }
      woken.add(*from);
    }
    guard.unlock();
    woken.schedule();
  }

  void close_locked(wake_chain& woken) noexcept {
    closed_.store(true, std::memory_order_release);
    while (waiter* const w = claim(senders_, senders_waiting_)) {
      static_cast<send_slot<T>*>(w->slot)->result = handover::closed;
      woken.add(*w);
    }
    while (waiter* const w = claim(receivers_, receivers_waiting_)) {
      static_cast<receive_slot<T>*>(w->slot)->result = handover::closed;
      woken.add(*w);
    }
  }

  // The lock is held at the call and not at the return. True: the slot says how the wait was served. False:
  // `until` has passed. Everything else is thrown.
  [[gnu::always_inline]] inline bool wait_to_be_served(wait_queue& queue, locked& guard, wait_kind why,
                                                       void* slot, deadline until) {
    wait w(why, static_cast<const channel_figures*>(this), wait::cancellable);
    if (!w.open()) {
      guard.unlock();
      throw_cancelled();
    }
    waiter me(w, 0, slot);
    enqueue(queue, me);
    guard.unlock();
    const wait_end end = w.suspend(until);
    if (end.notified()) [[likely]]
      return true;
    {
      std::lock_guard again(lock_);
      withdraw(queue, me);
    }
    return end.or_throw();
  }

  // Memory is allocated without the lock: by the time it is taken again, everything may have changed.
  [[gnu::noinline]] void add_ring(locked& guard) {
    const std::size_t capacity = buffer_.next_ring_size();
    guard.unlock();
    auto more = std::make_unique<typename buffer::ring>(capacity);
    guard.lock();
    const bool wanted = !closed_.load(std::memory_order_relaxed) && !buffer_.has_room();
    if (wanted) buffer_.add(std::move(more));  // otherwise somebody else was faster
  }

  // No receiver is left, and senders look no further than `closed_`, so nobody else looks at the buffer: the
  // messages are destroyed without the lock. Their destructors may use channels, this one included.
  void discard() noexcept {
    while (!buffer_.empty()) {
      const std::unique_ptr<typename buffer::ring> drained = buffer_.pop();
      resized(-1);
    }
  }

  void drop_side() noexcept {
    if (sides_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  std::atomic<bool>& flag_of(const wait_queue& queue) noexcept {
    return &queue == &senders_ ? senders_waiting_ : receivers_waiting_;
  }
  void enqueue(wait_queue& queue, waiter& w) noexcept {
    queue.push_back(w);
    flag_of(queue).store(true, std::memory_order_relaxed);
  }
  void withdraw(wait_queue& queue, waiter& w) noexcept {
    queue.remove(w);
    flag_of(queue).store(!queue.empty(), std::memory_order_relaxed);
  }
  static waiter* claim(wait_queue& queue, std::atomic<bool>& waiting) noexcept {
    if (queue.empty()) [[likely]]
      return nullptr;
    waiter* const claimed = queue.claim_front();
    waiting.store(!queue.empty(), std::memory_order_relaxed);
    return claimed;
  }
  static bool other_waits(const wait_queue& queue, const waiter& me) noexcept {
    for (const waiter* w = queue.front(); w != nullptr; w = w->next) {
      if (w->party != me.party) return true;
    }
    return false;
  }
  void resized(std::ptrdiff_t by) noexcept {
    size_.store(size_.load(std::memory_order_relaxed) + static_cast<std::size_t>(by),
                std::memory_order_relaxed);
  }

  wait_queue senders_;
  wait_queue receivers_;
  buffer buffer_;
  streak sends_;
  streak receives_;
  const channel_life life_;

  std::atomic<std::size_t> sender_count_{1};
  std::atomic<std::size_t> receiver_count_{1};
  std::atomic<unsigned> sides_{2};  // of senders and receivers, which still has a member
};

}  // namespace zsync::detail
