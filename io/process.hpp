// Child processes.
#pragma once

#include <zsync/io/stream.hpp>

#include <sys/types.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace zsync {

// What a child's standard stream is connected to.
enum class child_stream { inherit, null, pipe };

struct process_options {
  child_stream in = child_stream::inherit;
  child_stream out = child_stream::inherit;
  child_stream err = child_stream::inherit;
  std::filesystem::path directory{};                      // where it starts; empty: here
  std::optional<std::vector<std::string>> environment{};  // NAME=value; nothing: this process's
};

struct exit_status {
  int code = -1;   // -1: it ended by a signal
  int signal = 0;  // 0: it exited
  [[nodiscard]] bool success() const noexcept { return code == 0; }
};

// A child process, killed and waited for by the destructor unless wait() or detach() came first. It starts
// with no signal blocked and with none of this process's descriptors but the three streams. One fiber or
// thread at a time, except that its streams are streams like others.
class process {
 public:
  process() noexcept = default;  // none
  process(process&& other) noexcept;
  process& operator=(process&& other) noexcept;
  ~process();

  // Starts a program, found by PATH unless its name has a slash. Throws std::system_error if it cannot be
  // started.
  static process spawn(const std::vector<std::string>& arguments, const process_options& options = {});
  static process spawn(const std::vector<std::string>& arguments, const process_options& options,
                       std::error_code& ec);

  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }  // started here and not waited for
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  // Waits for its end. Further calls give the same answer.
  exit_status wait();
  exit_status wait(std::error_code& ec);

  void kill(int signal = SIGTERM);
  void detach() noexcept;  // nobody will wait for it

  // The other ends of the streams that are pipes. Close in() for the child to read the end of its input.
  write_half& in() noexcept { return in_; }
  read_half& out() noexcept { return out_; }
  read_half& err() noexcept { return err_; }

 private:
  void end() noexcept;

  pid_t pid_ = -1;
  detail::descriptor_ptr watch_;  // readable once it has ended, where the kernel has that
  exit_status status_;
  write_half in_;
  read_half out_;
  read_half err_;
};

}  // namespace zsync
