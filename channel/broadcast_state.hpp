// What the ends of a broadcast share: the last few messages, numbered. A watch is one of a single message.
//
// Every receiver has a position of its own, the number of the message that it takes next. A sender never
// waits: it overwrites the oldest message, and a receiver that had not come to that one yet finds its
// position gone and skips ahead. A message wakes all receivers that wait; each then looks for itself.
#pragma once

#include <zsync/channel/deadline_of.hpp>
#include <zsync/channel/message.hpp>
#include <zsync/channel/queue_wait.hpp>
#include <zsync/channel/status.hpp>
#include <zsync/channel/turns.hpp>

#include <algorithm>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace zsync::detail {

template <class T>
class broadcast_state {
  static_assert(is_message<T>());
  static_assert(std::is_copy_constructible_v<T>,
                "every receiver of a broadcast or a watch gets a copy, so its messages have to be copyable");

  // Messages are held in a form that can be copied under the lock without running T's constructors, which may
  // be slow, or throw. (A T with a const member is trivially copyable, and still cannot be assigned to.)
  static constexpr bool held_directly =
      std::is_trivially_copyable_v<T> && std::copyable<T> && sizeof(T) <= 64;
  using cell = std::conditional_t<held_directly, std::optional<T>, std::shared_ptr<const T>>;

 public:
  explicit broadcast_state(std::size_t capacity) : cells_(capacity) {
    if (capacity == 0) throw std::invalid_argument("a broadcast has to hold a message");
  }
  broadcast_state(const broadcast_state&) = delete;
  broadcast_state& operator=(const broadcast_state&) = delete;

  // False: closed, and nothing has happened. Only if the close came while the message was being moved, and T
  // cannot be assigned to, is the message lost.
  bool send(T&& message) {
    if (is_closed()) return false;
    if constexpr (held_directly) {
      cell copy(message);
      return publish(copy);
    } else {
      auto made = std::make_shared<T>(std::move(message));
      T& moved = *made;
      cell offered(std::move(made));
      if (publish(offered)) return true;
      // Closed meanwhile, so the message is still what we made of it.
      if constexpr (std::is_move_assignable_v<T>) message = std::move(moved);
      return false;
    }
  }

  // success, empty, or closed, which means closed and drained. `position` and `lost` are the receiver's.
  template <class Put>
  channel_status try_receive(std::uint64_t& position, std::uint64_t& lost, Put put) {
    cell message;
    {
      const spin_guard guard(lock_);
      if (position == sent_)
        return closed_.load(std::memory_order_relaxed) ? channel_status::closed : channel_status::empty;
      catch_up(position, lost);
      message = cells_[position % cells_.size()];
    }
    put(*message);  // if this throws, the message can be received again
    ++position;
    return channel_status::success;
  }

  // Waits until something can be received. False: `until` has passed.
  bool wait(std::uint64_t position, deadline until) {
    spin_guard guard(lock_);
    if (position != sent_ || closed_.load(std::memory_order_relaxed)) return true;
    return wait_in(receivers_, guard, wait_kind::broadcast_receive, this, until).or_throw();
  }

  // The newest message, of a state that has one.
  T newest(std::uint64_t& position) {
    cell message;
    std::uint64_t number = 0;
    {
      const spin_guard guard(lock_);
      number = sent_ - 1;
      message = cells_[number % cells_.size()];
    }
    T copy(*message);
    position = number + 1;
    return copy;
  }

  [[nodiscard]] std::uint64_t sent() const noexcept {
    const spin_guard guard(lock_);
    return sent_;
  }
  [[nodiscard]] std::size_t size(std::uint64_t position) const noexcept {
    return static_cast<std::size_t>(std::min<std::uint64_t>(sent() - position, cells_.size()));
  }
  [[nodiscard]] std::size_t capacity() const noexcept { return cells_.size(); }
  [[nodiscard]] bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  void close() noexcept {
    wake_chain woken;
    {
      const spin_guard guard(lock_);
      closed_.store(true, std::memory_order_release);
      claim_all(receivers_, woken);
    }
    woken.schedule();
  }

  // For select: false if something can be received.
  bool enlist(std::uint64_t position, waiter& me) noexcept {
    const spin_guard guard(lock_);
    if (position != sent_ || closed_.load(std::memory_order_relaxed)) return false;
    receivers_.push_back(me);
    return true;
  }
  void withdraw(waiter& me) noexcept {
    const spin_guard guard(lock_);
    receivers_.remove(me);
  }

  // The channel closes with the last sender, or the last receiver. Who subscribes later finds it closed.
  void add_sender() noexcept { add(sender_count_); }
  void add_receiver() noexcept { add(receiver_count_); }
  void drop_sender() noexcept { drop(sender_count_); }
  void drop_receiver() noexcept { drop(receiver_count_); }

 private:
  // Leaves the message that was overwritten in its place. False: closed, and the message is still there.
  bool publish(cell& message) {
    wake_chain woken;
    {
      const spin_guard guard(lock_);
      if (closed_.load(std::memory_order_relaxed)) return false;
      std::swap(cells_[sent_ % cells_.size()],
                message);  // the old one ends after the lock, with the caller's
      ++sent_;
      claim_all(receivers_, woken);
    }
    woken.schedule();
    return true;
  }

  void catch_up(std::uint64_t& position, std::uint64_t& lost) noexcept {
    const std::uint64_t oldest = sent_ - std::min<std::uint64_t>(sent_, cells_.size());
    if (position >= oldest) return;
    lost += oldest - position;
    position = oldest;
  }

  void add(std::atomic<std::size_t>& count) noexcept {
    count.fetch_add(1, std::memory_order_relaxed);
    ends_.fetch_add(1, std::memory_order_relaxed);
  }
  // Each drop releases what its end did; the last of a kind, and the last of all, acquire it.
  void drop(std::atomic<std::size_t>& count) noexcept {
    if (count.fetch_sub(1, std::memory_order_acq_rel) == 1) close();
    if (ends_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  mutable spinlock lock_;
  std::atomic<bool> closed_{false};  // written under lock_
  std::vector<cell> cells_;          // lock_; message n is in cell n % capacity
  std::uint64_t sent_ = 0;           // lock_
  wait_queue receivers_;             // lock_

  std::atomic<std::size_t> sender_count_{1};
  std::atomic<std::size_t> receiver_count_{1};
  std::atomic<std::size_t> ends_{2};  // of both kinds: they share its life
};

// What receivers of broadcasts and watches are made of: a position in the stream of messages.
template <class T>
class broadcast_reader {
 public:
  using value_type = T;

  broadcast_reader(broadcast_state<T>* adopted, std::uint64_t position) noexcept
      : state_(adopted), position_(position) {}
  broadcast_reader(const broadcast_reader& other) noexcept
      : state_(other.state_), position_(other.position_), lost_(other.lost_) {
    state_->add_receiver();
  }
  broadcast_reader(broadcast_reader&& other) noexcept
      : state_(std::exchange(other.state_, nullptr)), position_(other.position_), lost_(other.lost_) {}
  broadcast_reader& operator=(broadcast_reader other) noexcept {
    std::swap(state_, other.state_);
    position_ = other.position_;
    lost_ = other.lost_;
    return *this;
  }
  ~broadcast_reader() { reset(); }

  void reset() noexcept {
    if (state_ != nullptr) std::exchange(state_, nullptr)->drop_receiver();
  }

  std::optional<T> receive() {
    std::optional<T> out;
    receive(out);
    return out;
  }
  void receive(std::optional<T>& into) {
    for (;;) {
      const channel_status status = try_receive(into);
      if (status != channel_status::empty) return give_turn(status);
      (void)state_->wait(position_, deadline::never());
    }
  }
  template <class Until>
  channel_status receive(T& into, Until until) {
    channel_status status = try_receive(into);
    if (status == channel_status::empty) {
      const deadline end = detail::deadline_of(until);
      do {
        if (!state_->wait(position_, end)) return channel_status::timeout;
        status = try_receive(into);
      } while (status == channel_status::empty);
    }
    give_turn(status);
    return status;
  }
  channel_status try_receive(T& into) {
    static_assert(std::is_copy_assignable_v<T>,
                  "this receives into an object by assigning to it, which such a message does not allow: "
                  "use recv(), or select() with after() or otherwise()");
    return state_->try_receive(position_, lost_, [&](const T& m) { into = m; });
  }
  channel_status try_receive(std::optional<T>& into) {
    return state_->try_receive(position_, lost_, [&](const T& m) { into.emplace(m); });
  }
  T newest() { return state_->newest(position_); }

  bool enlist(waiter& me) noexcept { return state_->enlist(position_, me); }
  void withdraw(waiter& me) noexcept { state_->withdraw(me); }

  friend bool operator==(const broadcast_reader& a, const broadcast_reader& b) noexcept {
    return a.state_ == b.state_;
  }
  [[nodiscard]] broadcast_state<T>& state() const noexcept { return *state_; }
  [[nodiscard]] std::size_t size() const noexcept { return state_->size(position_); }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  void give_turn(channel_status status) const {
    if (status == channel_status::closed || position_ % turn_every == 0) give_way_to_others();
  }

  broadcast_state<T>* state_;
  std::uint64_t position_;
  std::uint64_t lost_ = 0;
};

// What senders of broadcasts and watches are made of.
template <class T>
class broadcast_writer {
 public:
  explicit broadcast_writer(broadcast_state<T>* adopted) noexcept : state_(adopted) {}
  broadcast_writer(const broadcast_writer& other) noexcept : state_(other.state_) { state_->add_sender(); }
  broadcast_writer(broadcast_writer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  broadcast_writer& operator=(broadcast_writer other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~broadcast_writer() { reset(); }

  void reset() noexcept {
    if (state_ != nullptr) std::exchange(state_, nullptr)->drop_sender();
  }
  friend bool operator==(const broadcast_writer& a, const broadcast_writer& b) noexcept {
    return a.state_ == b.state_;
  }
  broadcast_state<T>* operator->() const noexcept { return state_; }

  // A further receiver, from the next message on.
  [[nodiscard]] broadcast_reader<T> new_reader(bool with_newest) const {
    state_->add_receiver();
    const std::uint64_t sent = state_->sent();
    return broadcast_reader<T>(state_, with_newest ? sent - 1 : sent);
  }

 private:
  broadcast_state<T>* state_;
};

// Makes the ends of broadcasts and watches, and gives select the place behind a receiver.
struct broadcast_access {
  template <class End, class Part>
  static End make(Part part) noexcept {
    return End(std::move(part));
  }
  template <class Receiver>
  static auto& reader(Receiver& of) noexcept {
    return of.reader_;
  }
};

}  // namespace zsync::detail
