// A sample that serves, run through the real zsync-run.
#pragma once

#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/sched/options.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace zsync::test {

inline std::vector<std::string> sample_command(const std::string& name, const runtime_options& options,
                                               const std::vector<std::string>& more = {}) {
  std::vector<std::string> command{ZSYNC_RUN,   name,
                                   "--backend", std::string(to_string(options.backend)),
                                   "--workers", std::to_string(options.workers)};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

// Looks again and again, for at most ten seconds.
template <class Condition>
bool eventually(Condition holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{5});
  }
  return true;
}

// Runs until it is stopped, or goes out of scope. It listens on a port of its own.
class sample_server {
 public:
  sample_server(const std::string& name, const runtime_options& options, std::vector<std::string> more = {},
                const child_options& how = {})
      : program_(sample_command(name, options, with_free_port(std::move(more))), how) {
    const std::string announcement = "listening on 127.0.0.1:";
    const std::string said = program_.wait_for(announcement);  // it writes whole lines
    const std::size_t at = said.find(announcement) + announcement.size();
    port_ = said.substr(at, said.find_first_not_of("0123456789", at) - at);
    descriptors_at_start_ = descriptors();
  }

  [[nodiscard]] const std::string& port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + port_; }
  [[nodiscard]] pid_t pid() const { return program_.pid(); }

  [[nodiscard]] std::size_t descriptors() const {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid()) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  [[nodiscard]] std::ptrdiff_t open_connections() const {
    return static_cast<std::ptrdiff_t>(descriptors()) - static_cast<std::ptrdiff_t>(descriptors_at_start_);
  }

  // Ctrl-C. All that it wrote is in `out`.
  child_result stop(int signal = SIGINT) {
    program_.send_signal(signal);
    return program_.finish();
  }

  // Ctrl-C once no connection is open any more.
  child_result stop_when_idle() {
    CHECK(eventually([&] { return open_connections() <= 0; }));
    return stop();
  }

 private:
  static std::vector<std::string> with_free_port(std::vector<std::string> more) {
    more.insert(more.end(), {"--listen", "127.0.0.1:0"});
    return more;
  }

  background_program program_;
  std::string port_;
  std::size_t descriptors_at_start_ = 0;
};

}  // namespace zsync::test
