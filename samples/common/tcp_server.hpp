// What all samples that serve TCP have in common: where to listen, a fiber for each connection, and a count.
#pragma once

#include "sample.hpp"

#include <atomic>
#include <cstdint>

namespace samples {

// Written by the fibers of all workers.
struct connection_figures {
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> ended{0};   // of these, by themselves: the others are open, or were at the end
  std::atomic<std::uint64_t> errors{0};  // of these, not in good order

  [[nodiscard]] std::uint64_t open() const { return accepted - ended; }
};

// A sample derives from it and says what to do with one connection.
class tcp_server : public sample {
 public:
  explicit tcp_server(std::uint16_t default_port);

  void add_options(CLI::App& command) override;
  void run(zsync::runtime& runtime) override;
  void summarise(std::ostream& out) const override;

 protected:
  // In a fiber of the connection's own, which closes `peer` afterwards. A std::system_error that leaves it
  // counts as a connection that broke.
  virtual void serve(zsync::tcp_stream& peer) = 0;

  // Once, before the first connection.
  virtual void prepare() {}

 private:
  zsync::socket_address address_;
  connection_figures figures_;
};

// Waits for a connection. While descriptors or memory run short, it waits for better times as well.
zsync::tcp_stream accept_next(zsync::tcp_listener& listener);

// Accepts until it is cancelled; `serve` gets each connection in a fiber of its own. The fibers have ended
// when it returns. Throws what leaves `serve` other than a std::system_error, and
// std::system_error(not_enough_memory) if there is no stack for a fiber: then all end, rather than that none
// is served any more.
template <class Serve>
void accept_all(zsync::tcp_listener& listener, connection_figures& figures, const Serve& serve) {
  const auto live = [&](zsync::tcp_stream peer) {
    try {
      serve(peer);
    } catch (const std::system_error&) {
      ++figures.errors;
    }
    ++figures.ended;  // not if it was cancelled
  };
  zsync::task_group all;
  // Of the same group, so that it ends with a connection that fails.
  all.spawn([&] {
    for (;;) {
      zsync::tcp_stream peer = accept_next(listener);
      ++figures.accepted;
      std::error_code none_of_tcp;  // as of a unix socket
      peer.set_nodelay(true, none_of_tcp);
      all.spawn(live, std::move(peer));
    }
  });
  all.wait();
}

}  // namespace samples
