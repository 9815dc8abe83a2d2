// echo-client: loads an echo server, and reports rate and latency.
#include "common/arguments.hpp"
#include "common/load.hpp"
#include "common/progress.hpp"
#include "common/resources.hpp"
#include "common/text.hpp"
#include "sample.hpp"

namespace samples {
namespace {

using namespace std::chrono_literals;

class echo_client final : public sample {
 public:
  void add_options(CLI::App& command) override {
    require(add_endpoint(command, "server", server_, "The echo server"));
    add_count(command, "-c,--connections", connections_, 1, 1'000'000, "Connections at once");
    add_size(command, "-s,--size", size_, 1, 16 << 20, "Bytes of a request");
    add_count(command, "-p,--pipeline", pipeline_, 1, 10'000, "Requests sent ahead on each connection");
    add_duration(command, "-t,--seconds", duration_, "How long");
    add_flag(command, "--json", json_, "Report as JSON");
  }

  void run(zsync::runtime&) override {
    raise_descriptor_limit(connections_ + 64);
    load clients({connections_, size_, pipeline_});
    const auto addresses = zsync::resolve(server_.host, std::to_string(server_.port));
    clients.connect(std::span(addresses).first(1));
    progress_line line;
    const auto started = zsync::clock::now();
    const auto tick = [&] {
      const std::chrono::duration<double> so_far = zsync::clock::now() - started;
      const auto rate = static_cast<double>(clients.requests_so_far()) / so_far.count();
      line.show(fixed_text(so_far.count(), 1) + " s  " + count_text(static_cast<std::uint64_t>(rate)) +
                " requests/s");
    };
    clients.run(duration_, tick, result_);
  }

  void summarise(std::ostream& out) const override { json_ ? as_json(out) : as_text(out); }

 private:
  void as_text(std::ostream& out) const {
    const auto at = [&](double q) { return duration_text(result_.latency.quantile(q)); };
    out << count_text(static_cast<std::uint64_t>(result_.rate())) << " requests/s over "
        << count_text(result_.connections, "connection") << " in " << duration_text(result_.elapsed) << '\n'
        << "latency  p50 " << at(0.5) << "  p99 " << at(0.99) << "  p99.9 " << at(0.999) << "  max "
        << duration_text(result_.latency.max()) << '\n'
        << count_text(result_.errors, "error");
    if (result_.errors != 0) out << ", the first: " << result_.first_error;
    out << '\n';
  }

  void as_json(std::ostream& out) const {
    const auto us = [](std::chrono::nanoseconds d) {
      return fixed_text(static_cast<double>(d.count()) / 1e3, 3);
    };
    const auto at = [&](double q) { return us(result_.latency.quantile(q)); };
    out << "{\"connections\": " << result_.connections << ", \"size\": " << size_
        << ", \"pipeline\": " << pipeline_
        << ", \"seconds\": " << fixed_text(std::chrono::duration<double>(result_.elapsed).count(), 3)
        << ", \"requests\": " << result_.requests
        << ", \"requests_per_second\": " << fixed_text(result_.rate(), 1)
        << ", \"latency_us\": {\"p50\": " << at(0.5) << ", \"p99\": " << at(0.99)
        << ", \"p99.9\": " << at(0.999) << ", \"max\": " << us(result_.latency.max())
        << "}, \"errors\": " << result_.errors << "}\n";
  }

  endpoint server_;
  std::uint64_t connections_ = 100;
  std::uint64_t size_ = 64;
  std::uint64_t pipeline_ = 1;
  std::chrono::nanoseconds duration_ = 5s;
  bool json_ = false;
  load_result result_;
};

}  // namespace

std::unique_ptr<sample> make_echo_client() { return std::make_unique<echo_client>(); }

}  // namespace samples
