// What the tests of io/ share: connections over loopback, and bytes that two sides agree on.
#pragma once

#include <zsync/zsync.hpp>

#include <cstdint>
#include <utility>

namespace zsync::test {

inline tcp_listener listen_anywhere() { return tcp_listener::bind(socket_address::parse("127.0.0.1:0")); }

struct connection {
  tcp_stream client, server;
};

inline connection connect_pair() {
  auto listener = listen_anywhere();
  auto client = tcp_stream::connect(listener.local_address());
  return {std::move(client), listener.accept()};
}

// The n-th byte of such a stream, without a period that buffers would share.
inline char byte_at(std::uint64_t n) { return static_cast<char>((n * 2654435761u) >> 13); }

}  // namespace zsync::test
