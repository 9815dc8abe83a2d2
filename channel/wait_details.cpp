#include <zsync/channel/wait_details.hpp>

#include <zsync/channel/channel_figures.hpp>
#include <zsync/channel/lock_word.hpp>
#include <zsync/channel/shared_lock_state.hpp>

#include <limits>

namespace zsync::detail {
namespace {

channel_fill fill_of(const channel_figures& channel) noexcept {
  channel_fill fill{channel.size(), {}, channel.is_closed()};
  if (channel.capacity() != std::numeric_limits<std::size_t>::max()) fill.capacity = channel.capacity();
  return fill;
}

}  // namespace

void describe_channel_wait(wait_kind why, const void* on, wait_details& into) {
  switch (why) {
    case wait_kind::channel_send:
    case wait_kind::channel_receive:
      into.channel = fill_of(*static_cast<const channel_figures*>(on));
      return;
    case wait_kind::mutex:
      into.holder = static_cast<const lock_word*>(on)->holder();
      return;
    case wait_kind::shared_mutex: {
      const auto [writer, readers] = static_cast<const shared_lock_state*>(on)->held_by();
      into.holder = writer;
      into.readers = readers;
      return;
    }
    case wait_kind::select:
      return describe_select(on, into);
    default:
      return;
  }
}

}  // namespace zsync::detail
