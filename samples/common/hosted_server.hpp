// A server of fibers within an event loop that is somebody else's.
#pragma once

#include "common/echo.hpp"
#include "common/tcp_server.hpp"
#include "sample.hpp"

#include <cstdint>
#include <memory>

namespace samples {

// The other event loop. It watches loop.native_handle(), calls loop.poll() whenever that is readable or
// loop.next_deadline() has come, and does what else it has to do: here it counts seconds.
class event_host {
 public:
  event_host() = default;
  virtual ~event_host() = default;
  event_host(const event_host&) = delete;
  event_host& operator=(const event_host&) = delete;

  virtual void run(zsync::loop& fibers) = 0;  // until stop()
  virtual void stop() = 0;                    // from any thread, also before run()

  std::uint64_t seconds = 0;  // that it counted
};

// Echoes, in fibers of a loop that `host` drives.
class hosted_server : public sample {
 public:
  explicit hosted_server(std::unique_ptr<event_host> (*make_host)());

  void add_options(CLI::App& command) override;
  void run(zsync::runtime& runtime) override;
  void summarise(std::ostream& out) const override;

 private:
  void host_all(const zsync::runtime_options& options, event_host& host);
  void serve();

  std::unique_ptr<event_host> (*const make_host_)();
  zsync::socket_address address_;
  connection_figures connections_;
  echo_figures figures_;
  std::uint64_t seconds_ = 0;
};

}  // namespace samples
