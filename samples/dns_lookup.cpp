// dns-lookup: the addresses of many names at once.
#include "common/arguments.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <unistd.h>

#include <atomic>
#include <iostream>
#include <string>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

class dns_lookup final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_texts(command, "names", names_,
              "What to look up; if there are none, a name a line from standard input");
    add_address(command, "-s,--server", server_, "The name server to ask; otherwise those of this system");
    add_duration(command, "--timeout", timeout_, "How long to wait for each");
  }

  void run(zsync::runtime&) override {
    if (names_.empty()) read_names();
    answers_.resize(names_.size());
    zsync::task_group lookups;
    for (std::size_t i = 0; i != names_.size(); ++i) {
      lookups.spawn([this, i] { answers_[i] = look_up(names_[i]); });
    }
    lookups.wait();
  }

  // In the order in which they were asked for.
  void summarise(std::ostream& out) const override {
    for (std::size_t i = 0; i != answers_.size(); ++i) out << names_[i] << "  " << answers_[i] << '\n';
  }

  [[nodiscard]] bool all_well() const override { return failures_ == 0; }

 private:
  void read_names() {
    if (::isatty(STDIN_FILENO) != 0) std::cerr << "names to look up, a line each, until Ctrl-D:\n";
    zsync::buffered_reader input(zsync::standard_input());
    for (std::string name; input.read_line(name);) {
      if (!name.empty()) names_.push_back(name);
    }
  }

  std::string look_up(const std::string& name) {
    try {
      zsync::deadline_scope in_time(timeout_);
      zsync::resolve_options options;
      if (server_.is_ip()) options.servers.push_back(server_);
      std::string all;
      for (const auto& address : zsync::resolve(name, "", options)) {
        all += (all.empty() ? "" : " ") + address.ip().to_string();
      }
      return all;
    } catch (const std::system_error& error) {
      ++failures_;
      return std::string("? ") + error.code().message();
    }
  }

  std::vector<std::string> names_;
  std::vector<std::string> answers_;
  std::atomic<std::size_t> failures_{0};
  zsync::socket_address server_;
  std::chrono::nanoseconds timeout_ = 5s;
};

}  // namespace

std::unique_ptr<sample> make_dns_lookup() { return std::make_unique<dns_lookup>(); }

}  // namespace samples
