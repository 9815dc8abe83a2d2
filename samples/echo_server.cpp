// echo-server: sends back whatever arrives.
#include "common/echo.hpp"
#include "common/tcp_server.hpp"
#include "common/text.hpp"

namespace samples {
namespace {

class echo_server final : public tcp_server {
 public:
  echo_server() : tcp_server(7000) {}

  void serve(zsync::tcp_stream& peer) override { echo(peer, figures_); }

  void summarise(std::ostream& out) const override {
    out << count_text(figures_.requests, "request") << ", " << count_text(figures_.bytes, "byte") << ", ";
    tcp_server::summarise(out);
  }

 private:
  echo_figures figures_;
};

}  // namespace

std::unique_ptr<sample> make_echo_server() { return std::make_unique<echo_server>(); }

}  // namespace samples
