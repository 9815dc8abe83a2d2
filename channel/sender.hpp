// The sending end of a channel.
#pragma once

#include <zsync/channel/channel_state.hpp>

#include <chrono>
#include <utility>

namespace zsync {

// Copies are further senders of the same channel; it closes when the last of them is gone. Any number of
// threads and fibers, of any runtime or none, may use one sender or copies of it at the same time; what one
// of them sends arrives in that order. Like a pointer, a const sender still sends. One that was moved from
// or reset has no channel: it may only be compared, assigned to, reset and destroyed.
//
// Waiting is a cancellation point: it throws `cancelled`, and std::system_error(timed_out) when a
// deadline_scope ends it. In both cases the message is untouched, as it is whenever a call does not succeed.
//
// A message is moved from one end to the other under the channel's spinlock. T's move constructor (the copy
// constructor, if it has no other) may throw; but neither it nor the destructor of a T that was moved from
// may use this channel or wait for anything, be it a zsync::mutex or a yield. Mind that a T that can only be
// copied is destroyed under the lock with all that it holds. Two things may use the channel, and wait: the
// copy that send() makes of a const T&, and the destructors of messages that were received, or that the
// channel held when its last receiver went.
template <class T>
class sender {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  sender(const sender& other) noexcept : state_(other.state_) { state_->add_sender(); }
  sender(sender&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  sender& operator=(sender other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~sender() { reset(); }

  // Waits while the channel is full; of a rendezvous channel, until somebody receives. False: closed.
  bool send(T&& message) const { return state_->send(message) == channel_status::success; }
  bool send(const T& message) const {
    T copy(message);
    return state_->send(copy) == channel_status::success;
  }

  // Does not wait. success, full or closed.
  [[nodiscard]] channel_status try_send(T&& message) const { return state_->try_send(message); }
  [[nodiscard]] channel_status try_send(const T& message) const {
    T copy(message);
    return state_->try_send(copy);
  }

  // Waits no longer than told. success, timeout or closed.
  [[nodiscard]] channel_status send_until(T&& message, deadline until) const {
    return state_->send(message, until);
  }
  [[nodiscard]] channel_status send_until(const T& message, deadline until) const {
    T copy(message);
    return state_->send(copy, until);
  }
  template <class Rep, class Period>
  [[nodiscard]] channel_status send_for(T&& message, std::chrono::duration<Rep, Period> at_most) const {
    return state_->send(message, at_most);
  }
  template <class Rep, class Period>
  [[nodiscard]] channel_status send_for(const T& message, std::chrono::duration<Rep, Period> at_most) const {
    T copy(message);
    return state_->send(copy, at_most);
  }

  // No more messages are accepted, and all waiters at both ends are woken. What was sent before can still be
  // received.
  void close() const noexcept { state_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_->is_closed(); }

  // Messages sent and not received, at some moment just gone.
  [[nodiscard]] std::size_t size() const noexcept { return state_->size(); }
  // 0: rendezvous. The largest std::size_t: unbounded.
  [[nodiscard]] std::size_t capacity() const noexcept { return state_->capacity(); }

  // Lets go of the channel before the end of this sender's life; nothing happens if it has none any more.
  void reset() noexcept {
    if (state_ != nullptr) std::exchange(state_, nullptr)->drop_sender();
  }

  // Do both belong to the same channel?
  friend bool operator==(const sender& a, const sender& b) noexcept { return a.state_ == b.state_; }

 private:
  friend struct detail::channel_access;
  explicit sender(detail::channel_state<T>* state) noexcept : state_(state) {}

  detail::channel_state<T>* state_;
};

}  // namespace zsync
