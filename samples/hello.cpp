// hello: sends ping to a TCP server and prints what comes back.
#include "common/arguments.hpp"
#include "common/echo.hpp"
#include "sample.hpp"

#include <iostream>
#include <utility>

namespace samples {
namespace {

void say_hello(const endpoint& server) {
  auto tcp = zsync::tcp_stream::connect(server.host, server.port);
  tcp.write_all("ping");
  tcp.shutdown(zsync::shutdown_send);
  std::cout << "received: " << tcp.read_all() << '\n';
}

class hello final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_endpoint(command, "server", server_, "Whom to greet; if it is not given, an echo server of its own");
  }

  void run(zsync::runtime&) override {
    if (server_.port != 0) return say_hello(server_);
    auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"));
    const auto port = listener.local_address().port();
    // The fiber owns the listener: should accept() fail, the connection that waits there is reset.
    zsync::fiber server([listener = std::move(listener)]() mutable {
      auto peer = listener.accept();
      echo_figures figures;
      echo(peer, figures);
    });
    say_hello({"127.0.0.1", port});
  }

 private:
  endpoint server_;
};

}  // namespace

std::unique_ptr<sample> make_hello() { return std::make_unique<hello>(); }

}  // namespace samples
