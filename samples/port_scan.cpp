// port-scan: which TCP ports of a host accept connections.
#include "common/arguments.hpp"
#include "common/resources.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <atomic>
#include <iostream>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

class port_scan final : public sample {
 public:
  void add_options(CLI::App& command) override {
    require(add_text(command, "host", host_, "Name or address"));
    add_count(command, "--first", first_, 1, 65535, "The first port to try");
    add_count(command, "--last", last_, 1, 65535, "The last port to try");
    add_count(command, "-c,--concurrency", concurrency_, 1, 10'000, "Ports tried at the same time");
    add_duration(command, "--timeout", timeout_, "How long to wait for a port's answer");
    add_check(command, [this]() -> std::string {
      if (first_ <= last_) return {};
      return "--first: " + count_text(first_) + " is above --last, which is " + count_text(last_);
    });
  }

  void run(zsync::runtime&) override {
    raise_descriptor_limit(concurrency_ + 64);
    const auto started = zsync::clock::now();
    const auto host = zsync::resolve(host_, "1").at(0).ip();
    std::atomic<std::uint64_t> next = first_;
    zsync::task_group scanners;
    for (std::uint64_t i = 0; i != concurrency_; ++i) {
      scanners.spawn([&] {
        for (std::uint64_t port = next++; port <= last_; port = next++) {
          open_[port] = accepts({host, static_cast<std::uint16_t>(port)});
          ++tried_;
        }
      });
    }
    scanners.wait();
    taken_ = zsync::clock::now() - started;
  }

  void summarise(std::ostream& out) const override {
    std::uint64_t open = 0;
    for (std::size_t port = 0; port != open_.size(); ++port) {
      if (!open_[port]) continue;
      out << port << '\n';
      ++open;
    }
    std::cerr << count_text(tried_, "port") << " tried in " << duration_text(taken_) << ", "
              << count_text(open) << " open\n";
  }

 private:
  bool accepts(const zsync::socket_address& address) const {
    try {
      const zsync::deadline_scope in_time(timeout_);
      zsync::tcp_stream::connect(address);
      return true;
    } catch (const std::system_error& error) {
      if (out_of_our_own(error.code())) throw;
      return false;
    }
  }

  // What says nothing about the port.
  static bool out_of_our_own(const std::error_code& error) {
    return error == std::errc::too_many_files_open || error == std::errc::network_unreachable;
  }

  std::string host_;
  std::uint64_t first_ = 1;
  std::uint64_t last_ = 1024;
  std::uint64_t concurrency_ = 256;
  std::chrono::nanoseconds timeout_ = 1s;

  std::vector<std::atomic<bool>> open_ = std::vector<std::atomic<bool>>(65536);  // by port
  std::atomic<std::uint64_t> tried_{0};
  std::chrono::nanoseconds taken_{};
};

}  // namespace

std::unique_ptr<sample> make_port_scan() { return std::make_unique<port_scan>(); }

}  // namespace samples
