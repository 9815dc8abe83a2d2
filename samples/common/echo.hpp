// The server's side of echoing, which echo-server, demo and hello share.
#pragma once

#include <zsync/zsync.hpp>

#include <atomic>
#include <cstdint>

namespace samples {

// Written by the fibers of all workers, but once a connection rather than once a request.
struct echo_figures {
  std::atomic<std::uint64_t> requests{0};  // reads that brought something
  std::atomic<std::uint64_t> bytes{0};     // sent back
};

// Sends back whatever `peer` sends, until it ends. Throws std::system_error if it breaks.
void echo(zsync::tcp_stream& peer, echo_figures& figures);

}  // namespace samples
