// What became of a channel operation that does not wait, or not for ever.
#pragma once

#include <cstdint>
#include <string_view>

namespace zsync {

enum class channel_status : std::uint8_t {
  success,
  full,     // try_send: no room, and nobody waits for a message
  empty,    // try_recv: no message, and nobody waits to send one
  timeout,  // the time given to the call has passed
  closed,   // send: no longer accepts messages; recv: closed, and drained
};

constexpr std::string_view to_string(channel_status status) noexcept {
  switch (status) {
    case channel_status::success:
      return "success";
    case channel_status::full:
      return "full";
    case channel_status::empty:
      return "empty";
    case channel_status::timeout:
      return "timeout";
    case channel_status::closed:
      return "closed";
  }
  return "?";
}

}  // namespace zsync
