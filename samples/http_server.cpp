// http-server: answers every GET with the same few words; keep-alive and pipelining included.
#include "common/arguments.hpp"
#include "common/http_requests.hpp"
#include "common/tcp_server.hpp"

namespace samples {
namespace {

class http_server final : public tcp_server {
 public:
  http_server() : tcp_server(8080) {}

  void add_options(CLI::App& command) override {
    tcp_server::add_options(command);
    command.add_option("--text", text_, "What to answer")->type_name("TEXT")->capture_default_str();
    add_duration(command, "--delay", delay_, "Wait before each answer");
  }

  void serve(zsync::tcp_stream& peer) override {
    http_requests requests(peer);
    http_request request;
    std::string answers;
    try {
      while (requests.next(request)) {
        if (delay_.count() != 0) zsync::this_fiber::sleep_for(delay_);
        answer(request, answers);
        if (request.keep_alive && requests.more_has_arrived() && answers.size() < batch_max) continue;
        peer.write_all(answers);
        answers.clear();
        if (!request.keep_alive) break;
      }
    } catch (const http_error& error) {
      refuse(peer, answers, error.what());
    }
  }

 private:
  void answer(const http_request& request, std::string& into) const {
    const bool head = request.method == "HEAD";
    if (!head && request.method != "GET") {
      const std::string_view text = "GET or HEAD, please.\n";
      into += http_head(405, "text/plain", text.size(), request.keep_alive);
      into += text;
      return;
    }
    into += http_head(200, "text/plain", text_.size() + 1, request.keep_alive);
    if (!head) into.append(text_).append("\n");
  }

  static void refuse(zsync::tcp_stream& peer, std::string& answers, const std::string& why) {
    answers += http_head(400, "text/plain", why.size() + 1, false) + why + '\n';
    peer.write_all(answers);
  }

  static constexpr std::size_t batch_max = 64 * 1024;
  std::string text_ = "Hello from a fiber.";
  std::chrono::nanoseconds delay_{0};
};

}  // namespace

std::unique_ptr<sample> make_http_server() { return std::make_unique<http_server>(); }

}  // namespace samples
