// tcp-proxy: passes each connection on to another address.
#include "common/arguments.hpp"
#include "common/relay.hpp"
#include "common/tcp_server.hpp"

namespace samples {
namespace {

class tcp_proxy final : public tcp_server {
 public:
  tcp_proxy() : tcp_server(7001) {}

  void add_options(CLI::App& command) override {
    tcp_server::add_options(command);
    require(add_endpoint(command, "target", target_, "Where to"));
  }

  void serve(zsync::tcp_stream& client) override {
    auto server = zsync::tcp_stream::connect(target_.host, target_.port);
    server.set_nodelay(true);
    relay(client, server);
  }

 private:
  endpoint target_;
};

}  // namespace

std::unique_ptr<sample> make_tcp_proxy() { return std::make_unique<tcp_proxy>(); }

}  // namespace samples
