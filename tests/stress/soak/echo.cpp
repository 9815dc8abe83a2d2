// Echo over TCP: what comes back is what went out, whatever happens to other connections. Clients close in
// order, reset, leave in the midst of a message, and give up at deadlines.
#include "actor.hpp"

#include <zsync/zsync.hpp>

#include <sys/socket.h>

#include <array>
#include <memory>
#include <span>
#include <string>
#include <system_error>

namespace zsync::soak {
namespace {

using namespace std::chrono_literals;

void serve(tcp_stream peer) {
  std::array<std::byte, 4096> buffer{};
  std::error_code failure;
  for (;;) {
    const std::size_t size = peer.read(buffer, failure);
    if (failure || size == 0) return;
    peer.write_all(std::span<const std::byte>(buffer.data(), size), failure);
    if (failure) return;
  }
}

std::string noise(randomness& dice, std::size_t size) {
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(dice.next() & 0xff);
  return text;
}

void reset_on_close(const tcp_stream& stream) {
  const linger none{1, 0};
  setsockopt(stream.native_handle(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

// One message there and back; false: it was left in the midst.
bool converse(tcp_stream& server, tally& figures, randomness& dice, std::size_t size) {
  const std::string sent = noise(dice, size);
  std::string back(sent.size(), '\0');
  fiber<void> writer([&] { server.write_all(sent); });
  if (dice.one_in(20)) return false;
  server.read_exact(std::as_writable_bytes(std::span(back)));
  writer.join();
  if (back != sent) ++figures.wrong;
  return true;
}

void client(tally& figures, randomness& dice) {
  auto listener = tcp_listener::bind(socket_address::parse("127.0.0.1:0"));
  fiber<void> server([&] {
    for (;;) serve(listener.accept());
  });
  for (std::uint64_t connections = 1 + dice.below(8); connections > 0; --connections) {
    auto stream = tcp_stream::connect(listener.local_address());
    if (dice.one_in(4)) reset_on_close(stream);
    try {
      const deadline_scope limit(dice.one_in(8) ? std::chrono::nanoseconds{200us}
                                                : std::chrono::nanoseconds{20s});
      for (std::uint64_t rounds = 1 + dice.below(20); rounds > 0; --rounds) {
        if (!converse(stream, figures, dice, 1 + dice.below(dice.one_in(10) ? 300'000 : 2000))) break;
      }
    } catch (const std::system_error&) {
      ++figures.disturbed;
      stream.close();
      continue;
    }
    // Whoever is in accept or read there now is cancelled by the handle's end.
  }
}

}  // namespace

actor echo_actor() { return {"echo", client, 16}; }

}  // namespace zsync::soak
