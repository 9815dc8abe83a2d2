// http-server: answers every GET with the same few words; keep-alive and pipelining included.
#include "common/arguments.hpp"
#include "common/http_connection.hpp"
#include "common/tcp_server.hpp"

namespace samples {
namespace {

class http_server final : public tcp_server {
 public:
  http_server() : tcp_server(8080) {}

  void add_options(CLI::App& command) override {
    tcp_server::add_options(command);
    add_text(command, "--text", text_, "What to answer");
    add_duration(command, "--delay", delay_, "Wait before each answer");
  }

  void serve(zsync::tcp_stream& peer) override {
    http_connection client(peer);
    http_request request;
    try {
      while (client.next(request)) {
        if (delay_.count() != 0) zsync::this_fiber::sleep_for(delay_);
        answer(client, request);
        if (!request.keep_alive) break;
      }
    } catch (const http_error& error) {
      const std::string why = error.what();
      client.answer(http_head(400, "text/plain", why.size() + 1, false) + why + '\n');
    }
    client.send_answers();
  }

 private:
  void answer(http_connection& client, const http_request& request) const {
    if (request.method == "GET" || request.method == "HEAD") {
      client.answer(http_head(200, "text/plain", text_.size() + 1, request.keep_alive));
      if (request.method == "GET") client.answer(text_ + '\n');
    } else {
      client.answer(http_head(405, "text/plain", 21, request.keep_alive));
      client.answer("GET or HEAD, please.\n");
    }
  }

  std::string text_ = "Hello from a fiber.";
  std::chrono::nanoseconds delay_{0};
};

}  // namespace

std::unique_ptr<sample> make_http_server() { return std::make_unique<http_server>(); }

}  // namespace samples
