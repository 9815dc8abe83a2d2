// A channel whose every message goes to every receiver, and whose senders never wait.
#pragma once

#include <zsync/channel/broadcast_state.hpp>
#include <zsync/channel/receive_iterator.hpp>

#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

namespace zsync {

template <class T>
class broadcast_receiver;

// Copies are further senders; the channel closes when the last is gone. Any fiber or thread may use one.
template <class T>
class broadcast_sender {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  // Never waits. False: closed, and the message is untouched, or was moved back if the close came during the
  // call; a message whose type cannot be move-assigned is lost then.
  bool send(T&& message) const { return state_->send(std::move(message)); }
  bool send(const T& message) const { return !is_closed() && state_->send(T(message)); }

  // A further receiver, of the messages that are sent from now on.
  [[nodiscard]] broadcast_receiver<T> subscribe() const {
    return detail::broadcast_access::make<broadcast_receiver<T>>(state_.new_reader(false));
  }

  void close() const noexcept { state_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_->is_closed(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return state_->capacity(); }

  // Lets go of the broadcast before the end of this sender's life, as a channel's sender does.
  void reset() noexcept { state_.reset(); }

  // Do both belong to the same broadcast?
  friend bool operator==(const broadcast_sender& a, const broadcast_sender& b) noexcept {
    return a.state_ == b.state_;
  }

 private:
  friend struct detail::broadcast_access;
  explicit broadcast_sender(detail::broadcast_writer<T>&& writer) noexcept : state_(std::move(writer)) {}

  detail::broadcast_writer<T> state_;
};

// To be used by one fiber or thread at a time. A copy is a further receiver, which starts at the same
// message. The channel closes when the last receiver is gone. Waiting is a cancellation point and obeys
// deadline scopes; a wait that ends in either way has taken no message.
template <class T>
class broadcast_receiver {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  // Waits for the next message. nullopt: closed and drained. A receiver that fell behind by more than the
  // capacity goes on with the oldest message that is left; lost() tells how many it missed.
  [[nodiscard]] std::optional<T> recv() { return reader_.receive(); }

  // success, empty or closed.
  [[nodiscard]] channel_status try_recv(T& into) { return reader_.try_receive(into); }
  // success, timeout or closed.
  [[nodiscard]] channel_status recv_until(T& into, deadline until) { return reader_.receive(into, until); }
  template <class Rep, class Period>
  [[nodiscard]] channel_status recv_for(T& into, std::chrono::duration<Rep, Period> at_most) {
    return reader_.receive(into, at_most);
  }

  // How many messages it has missed so far, in all.
  [[nodiscard]] std::uint64_t lost() const noexcept { return reader_.lost(); }

  // for (auto& message : receiver) ends when the channel is closed and drained. Each step of an iterator
  // receives a message.
  using iterator = detail::receive_iterator<broadcast_receiver, T>;
  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  void close() const noexcept { reader_.state().close(); }
  [[nodiscard]] bool is_closed() const noexcept { return reader_.state().is_closed(); }

  // Messages that it could receive, at some moment just gone; those that it has missed do not count.
  [[nodiscard]] std::size_t size() const noexcept { return reader_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return reader_.state().capacity(); }

  // Lets go of the channel before the end of this receiver's life, as a channel's receiver does.
  void reset() noexcept { reader_.reset(); }

  friend bool operator==(const broadcast_receiver& a, const broadcast_receiver& b) noexcept {
    return a.reader_ == b.reader_;
  }

 private:
  friend struct detail::broadcast_access;
  friend iterator;
  explicit broadcast_receiver(detail::broadcast_reader<T>&& reader) noexcept : reader_(std::move(reader)) {}
  void next(std::optional<T>& into) { reader_.receive(into); }

  detail::broadcast_reader<T> reader_;
};

// Holds the last `capacity` messages, at least 1, for receivers that have not come to them yet.
template <class T>
[[nodiscard]] std::pair<broadcast_sender<T>, broadcast_receiver<T>> broadcast(std::size_t capacity) {
  auto* const state = new detail::broadcast_state<T>(capacity);
  using detail::broadcast_access;
  return {broadcast_access::make<broadcast_sender<T>>(detail::broadcast_writer<T>(state)),
          broadcast_access::make<broadcast_receiver<T>>(detail::broadcast_reader<T>(state, 0))};
}

}  // namespace zsync
