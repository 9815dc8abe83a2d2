// The receiving end of a channel.
#pragma once

#include <zsync/channel/channel_state.hpp>
#include <zsync/channel/receive_iterator.hpp>

#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace zsync {

// Copies are further receivers of the same channel: each message goes to one of them, the longest waiting
// first. The channel closes when the last of them is gone, and the messages that it still held are destroyed.
// What is said of senders about threads, waiting, constness and T's operations holds for receivers as well;
// if assigning a T may throw, a receive into a variable assigns under the spinlock, too. A call that does not
// succeed takes no message.
template <class T>
class receiver {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  receiver(const receiver& other) noexcept : state_(other.state_) { state_->add_receiver(); }
  receiver(receiver&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  receiver& operator=(receiver other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~receiver() { reset(); }

  // Waits for a message. nullopt: closed and drained.
  [[nodiscard]] std::optional<T> recv() const {
    std::optional<T> message;
    detail::receive_slot<T> box{&message};
    state_->receive(box);
    return message;
  }

  // Does not wait. success, empty or closed.
  [[nodiscard]] channel_status try_recv(T& into) const {
    return assign(into, [&](detail::receive_slot<T>& box) { return state_->try_receive(box); });
  }

  // Waits no longer than told. success, timeout or closed.
  [[nodiscard]] channel_status recv_until(T& into, deadline until) const {
    return assign(into, [&](detail::receive_slot<T>& box) { return state_->receive(box, until); });
  }
  template <class Rep, class Period>
  [[nodiscard]] channel_status recv_for(T& into, std::chrono::duration<Rep, Period> at_most) const {
    return assign(into, [&](detail::receive_slot<T>& box) { return state_->receive(box, at_most); });
  }

  // for (auto& message : receiver) ends when the channel is closed and drained. Each step of an iterator
  // receives a message.
  using iterator = detail::receive_iterator<const receiver, T>;
  [[nodiscard]] iterator begin() const { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  // No more messages are accepted, and all waiters at both ends are woken. What was sent before can still be
  // received.
  void close() const noexcept { state_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_->is_closed(); }

  // Messages that could be received, at some moment just gone.
  [[nodiscard]] std::size_t size() const noexcept { return state_->size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return state_->capacity(); }

  // Lets go of the channel before the end of this receiver's life; nothing happens if it has none any more.
  void reset() noexcept {
    if (state_ != nullptr) std::exchange(state_, nullptr)->drop_receiver();
  }

  friend bool operator==(const receiver& a, const receiver& b) noexcept { return a.state_ == b.state_; }

 private:
  friend struct detail::channel_access;
  friend iterator;
  void next(std::optional<T>& into) const {
    detail::receive_slot<T> box{&into};
    state_->receive(box);
  }

  explicit receiver(detail::channel_state<T>* state) noexcept : state_(state) {}

  // An assignment destroys the former value, and that may wait, as a fiber handle's destructor does, or use
  // this channel: so it comes after the receipt, without the channel's lock. An assignment that may throw has
  // to be part of the receipt, or it could lose the message.
  template <class Receive>
  static channel_status assign(T& into, Receive receive) {
    static_assert(std::is_move_assignable_v<T>,
                  "this receives into an object by assigning to it, which such a message does not allow: "
                  "use recv(), or select() with after() or otherwise()");
    if constexpr (std::is_trivially_destructible_v<T> || !std::is_nothrow_move_assignable_v<T>) {
      detail::receive_slot<T> box{nullptr, std::addressof(into)};
      return receive(box);
    } else {
      std::optional<T> message;
      detail::receive_slot<T> box{&message};
      const channel_status status = receive(box);
      if (message) into = std::move(*message);
      return status;
    }
  }

  detail::channel_state<T>* state_;
};

}  // namespace zsync
