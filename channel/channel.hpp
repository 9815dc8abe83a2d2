// Channels: typed queues between fibers and threads, with room for some messages, for none, or for any
// number.
#pragma once

#include <zsync/channel/receiver.hpp>
#include <zsync/channel/sender.hpp>

#include <cstddef>
#include <utility>

namespace zsync {

namespace detail {

// Makes ends of a channel, and gives select the state behind them.
struct channel_access {
  template <class T>
  static std::pair<sender<T>, receiver<T>> make(std::size_t capacity,
                                                channel_life life = channel_life::unlimited) {
    auto* const state = new channel_state<T>(capacity, life);
    return {sender<T>(state), receiver<T>(state)};
  }
  template <class End>
  static auto& state(const End& end) noexcept {
    return *end.state_;
  }
};

}  // namespace detail

// Makes a queue of at most `capacity` messages; sending to a full one waits. With a capacity of 0 it is a
// rendezvous: a message goes straight from sender to receiver, and send() returns once it was received. What
// T's move operations and destructor must not do is said in sender.hpp.
template <class T>
[[nodiscard]] std::pair<sender<T>, receiver<T>> channel(std::size_t capacity) {
  return detail::channel_access::make<T>(capacity);
}

// Makes a queue that grows: sending never waits, and throws std::bad_alloc when memory runs out. T as with
// channel().
template <class T>
[[nodiscard]] std::pair<sender<T>, receiver<T>> unbounded_channel() {
  return detail::channel_access::make<T>(detail::message_buffer<T>::unbounded);
}

}  // namespace zsync
