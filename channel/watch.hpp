// A value that some fibers set and others watch: a watcher sees the newest value, not necessarily each.
#pragma once

#include <zsync/channel/broadcast_state.hpp>
#include <zsync/channel/receive_iterator.hpp>

#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

namespace zsync {

template <class T>
class watch_receiver;

// Copies are further senders; the channel closes when the last is gone. Any fiber or thread may use one.
template <class T>
class watch_sender {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  // Sets the value; never waits. False: closed, and `value` is untouched or was moved back, as a broadcast's
  // message is.
  bool send(T&& value) const { return state_->send(std::move(value)); }
  bool send(const T& value) const { return !is_closed() && state_->send(T(value)); }

  // A copy of the newest value. Does not wait, and works after the close too.
  [[nodiscard]] T get() const {
    std::uint64_t ignored = 0;
    return state_->newest(ignored);
  }

  [[nodiscard]] watch_receiver<T> subscribe() const {
    return detail::broadcast_access::make<watch_receiver<T>>(state_.new_reader(true));
  }

  void close() const noexcept { state_->close(); }
  [[nodiscard]] bool is_closed() const noexcept { return state_->is_closed(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return state_->capacity(); }  // 1: the newest

  // Lets go of the watch before the end of this sender's life, as a channel's sender does.
  void reset() noexcept { state_.reset(); }

  // Do both belong to the same watch?
  friend bool operator==(const watch_sender& a, const watch_sender& b) noexcept {
    return a.state_ == b.state_;
  }

 private:
  friend struct detail::broadcast_access;
  explicit watch_sender(detail::broadcast_writer<T>&& writer) noexcept : state_(std::move(writer)) {}

  detail::broadcast_writer<T> state_;
};

// To be used by one fiber or thread at a time. A copy is a further receiver, which has seen the same values.
// The channel closes when the last receiver is gone. Waiting is a cancellation point and obeys deadline
// scopes; a wait that ends in either way has seen no value.
template <class T>
class watch_receiver {
  static_assert(detail::is_message<T>());

 public:
  using value_type = T;

  // Waits for a value that this receiver has not seen; a new receiver has not seen the one that is there.
  // nullopt: closed, and the last value was seen.
  [[nodiscard]] std::optional<T> recv() { return reader_.receive(); }
  // success, empty or closed.
  [[nodiscard]] channel_status try_recv(T& into) { return reader_.try_receive(into); }
  // success, timeout or closed.
  [[nodiscard]] channel_status recv_until(T& into, deadline until) { return reader_.receive(into, until); }
  template <class Rep, class Period>
  [[nodiscard]] channel_status recv_for(T& into, std::chrono::duration<Rep, Period> at_most) {
    return reader_.receive(into, at_most);
  }

  // for (auto& value : receiver) sees the newest value at each step, until the watch is closed and the last
  // value was seen.
  using iterator = detail::receive_iterator<watch_receiver, T>;
  [[nodiscard]] iterator begin() { return iterator(*this); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

  // The newest value, seen before or not; it counts as seen afterwards. Does not wait, and works after the
  // close too.
  [[nodiscard]] T get() { return reader_.newest(); }

  // Is there a value that it has not seen?
  [[nodiscard]] bool has_changed() const noexcept { return !empty(); }
  void close() const noexcept { reader_.state().close(); }
  [[nodiscard]] bool is_closed() const noexcept { return reader_.state().is_closed(); }

  // As with other receivers: 1 while there is a value that it has not seen, else 0.
  [[nodiscard]] std::size_t size() const noexcept { return reader_.size(); }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const noexcept { return reader_.state().capacity(); }

  // Lets go of the watch before the end of this receiver's life, as a channel's receiver does.
  void reset() noexcept { reader_.reset(); }

  friend bool operator==(const watch_receiver& a, const watch_receiver& b) noexcept {
    return a.reader_ == b.reader_;
  }

 private:
  friend struct detail::broadcast_access;
  friend iterator;
  explicit watch_receiver(detail::broadcast_reader<T>&& reader) noexcept : reader_(std::move(reader)) {}
  void next(std::optional<T>& into) { reader_.receive(into); }

  detail::broadcast_reader<T> reader_;
};

// A value to be watched, and its first receiver, which has not seen it yet.
template <class T>
[[nodiscard]] std::pair<watch_sender<T>, watch_receiver<T>> watch(T initial) {
  auto state = std::make_unique<detail::broadcast_state<T>>(1);
  state->send(std::move(initial));
  detail::broadcast_state<T>* const shared = state.release();
  using detail::broadcast_access;
  return {broadcast_access::make<watch_sender<T>>(detail::broadcast_writer<T>(shared)),
          broadcast_access::make<watch_receiver<T>>(detail::broadcast_reader<T>(shared, 0))};
}

}  // namespace zsync
