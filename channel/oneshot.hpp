// A channel for exactly one message, as for the answer to a request.
#pragma once

#include <zsync/channel/channel.hpp>

namespace zsync {

// The first message closes the channel: it can be received once, and a second send() returns false. Sending
// never waits. If the last sender is gone before it has sent anything, the receiver gets nullopt.
template <class T>
[[nodiscard]] std::pair<sender<T>, receiver<T>> oneshot() {
  return detail::channel_access::make<T>(1, detail::channel_life::one_message);
}

}  // namespace zsync
