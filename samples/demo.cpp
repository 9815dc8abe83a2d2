// demo: a server and ten thousand clients in one process, a fiber each, and what that costs.
#include "common/arguments.hpp"
#include "common/echo.hpp"
#include "common/load.hpp"
#include "common/progress.hpp"
#include "common/resources.hpp"
#include "common/tcp_server.hpp"
#include "common/text.hpp"

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t descriptors_beside = 64;       // standard streams, listeners, the runtime's own
constexpr std::size_t descriptors_a_worker = 4;      // of the last, where there are many
constexpr auto settling = 100ms;                     // until all have parked
constexpr std::size_t clients_per_address = 20'000;  // there are about 28,000 ephemeral ports to each

// Echoes on as many loopback addresses as that many clients need.
class echo_service {
 public:
  explicit echo_service(std::size_t clients) {
    for (std::size_t i = 0; i * clients_per_address < clients; ++i) {
      const auto address = "127.0.0." + std::to_string(i + 1) + ":0";
      listeners_.push_back(zsync::tcp_listener::bind(zsync::socket_address::parse(address)));
      addresses_.push_back(listeners_.back().local_address());
    }
    for (auto& listener : listeners_) {
      acceptors_.spawn([this, &listener] {
        accept_all(listener, connections_, [this](zsync::tcp_stream& peer) { echo(peer, echoed_); });
      });
    }
  }

  [[nodiscard]] const auto& addresses() const { return addresses_; }
  [[nodiscard]] std::uint64_t connections() const { return connections_.accepted; }

  // Throws what ended a listener's fiber: memory for one more fiber may have been short.
  void check() {
    if (acceptors_.size() != listeners_.size()) acceptors_.wait();
  }

 private:
  connection_figures connections_;
  echo_figures echoed_;
  std::vector<zsync::tcp_listener> listeners_;
  std::vector<zsync::socket_address> addresses_;
  zsync::task_group acceptors_;
};

class demo final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_count(command, "-c,--clients", clients_, 1, 1'000'000, "Clients at once, a connection each");
    add_size(command, "-s,--size", size_, 1, 1 << 20, "Bytes of a request");
    add_duration(command, "-t,--seconds", duration_, "How long they talk");
  }

  void run(zsync::runtime& runtime) override {
    fit_to_descriptor_limit(runtime.options().workers);
    announce();
    progress_line progress;
    progress.show("connecting");
    const std::size_t memory_before = resident_bytes();
    const std::uint64_t fibers_before = runtime.stats().fibers_alive;

    echo_service service(clients_);
    load clients({clients_, size_, 1});
    const auto connecting_since = zsync::clock::now();
    clients.connect(service.addresses());
    while (service.connections() < clients.connections()) {
      service.check();
      zsync::this_fiber::sleep_for(1ms);
    }
    connect_time_ = zsync::clock::now() - connecting_since;

    zsync::this_fiber::sleep_for(settling);
    stats_ = runtime.stats();
    fibers_ = stats_.fibers_alive - fibers_before;
    memory_idle_ = resident_bytes() - memory_before;

    cpu_idle_ = cpu_time_used();
    const auto tick = [&] {
      progress.show(count_text(clients.requests_so_far(), "request"));
      memory_busy_ = std::max(memory_busy_, resident_bytes() - memory_before);
      cpu_busy_ = cpu_time_used();
    };
    clients.run(duration_, tick, result_);
    cpu_busy_ = cpu_time_used();
  }

  void summarise(std::ostream& out) const override {
    if (result_.requests == 0) return;  // interrupted before there was anything to say
    const auto row = [&out](std::string_view label, const std::string& text) {
      out << "  " << label << std::string(13 - label.size(), ' ') << text << '\n';
    };
    const auto latency = [this](double q) { return duration_text(result_.latency.quantile(q)); };
    const auto a_fiber = [this](std::size_t memory) {
      return bytes_text(static_cast<double>(memory) /
                        static_cast<double>(std::max<std::uint64_t>(fibers_, 1)));
    };
    const auto a_request = [this](std::chrono::nanoseconds time) {
      return duration_text(time / static_cast<std::int64_t>(result_.requests));
    };
    row("runtime", std::string(zsync::to_string(stats_.backend)) + ", " +
                       count_text(stats_.workers, "worker") + ", " +
                       std::string(zsync::to_string(stats_.policy)));
    row("fibers", count_text(fibers_));
    row("connected", count_text(result_.connections, "client") + " in " + duration_text(connect_time_));
    row("memory",
        a_fiber(memory_idle_) + " resident a fiber when idle, " + a_fiber(memory_busy_) + " when busy");
    row("throughput", count_text(static_cast<std::uint64_t>(result_.rate())) + " requests/s");
    row("latency", "p50 " + latency(0.5) + ", p99 " + latency(0.99) + ", p99.9 " + latency(0.999) + ", max " +
                       duration_text(result_.latency.max()));
    const cpu_time cpu = cpu_busy_ - cpu_idle_;
    row("CPU", a_request(cpu.total()) + " a request, for both ends together: " + a_request(cpu.user) +
                   " in the program, " + a_request(cpu.kernel) + " in the kernel");
    row("errors",
        result_.errors == 0 ? "none" : count_text(result_.errors) + ", the first: " + result_.first_error);
  }

 private:
  void announce() const {
    std::cout << "A server and " << count_text(clients_, "client")
              << " in one process, a fiber at each end of every "
              << "connection.\nEach client sends " << bytes_text(static_cast<double>(size_))
              << ", waits for the echo and sends again, for " << duration_text(duration_) << ".\n\n"
              << std::flush;
  }

  // Each connection has two ends here.
  void fit_to_descriptor_limit(std::size_t workers) {
    const std::size_t beside =
        std::max(descriptors_beside, descriptors_beside / 2 + descriptors_a_worker * workers);
    const std::size_t limit = raise_descriptor_limit(2 * clients_ + beside);
    if (limit < beside + 2) {
      throw std::runtime_error("only " + count_text(limit, "descriptor") +
                               " may be open (ulimit -n), and a client takes " + count_text(beside + 2));
    }
    const std::size_t fit = (limit - beside) / 2;
    if (fit >= clients_) return;
    std::cout << "Only " << count_text(limit, "descriptor") << " may be open (ulimit -n), so there will be "
              << count_text(fit) << " clients and not " << count_text(clients_) << ".\n";
    clients_ = fit;
  }

  std::uint64_t clients_ = 10'000;
  std::uint64_t size_ = 64;
  std::chrono::nanoseconds duration_ = 5s;

  zsync::runtime_stats stats_;
  std::uint64_t fibers_ = 0;
  std::size_t memory_idle_ = 0;
  std::size_t memory_busy_ = 0;
  std::chrono::nanoseconds connect_time_{};
  cpu_time cpu_idle_;  // used until the load began
  cpu_time cpu_busy_;
  load_result result_;
};

}  // namespace

std::unique_ptr<sample> make_demo() { return std::make_unique<demo>(); }

}  // namespace samples
