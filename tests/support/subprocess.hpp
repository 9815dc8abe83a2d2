// Child processes for what a test cannot do to itself: crash, lose system calls, be fed by a foreign client.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace zsync::test {

struct child_options {
  std::vector<long> forbidden_syscalls{};     // SYS_...; a seccomp filter answers them with `forbidden_errno`
  int forbidden_errno = 1;                    // EPERM
  long descriptors_max = 0;                   // RLIMIT_NOFILE; 0: as the parent's
  std::string input{};                        // for its stdin, which then ends
  std::vector<std::string> environment{};     // NAME=value, added to the parent's
  std::chrono::milliseconds timeout{30'000};  // then it is killed
};

struct child_result {
  int exit_code = -1;  // -1: it did not exit by itself
  int signal = 0;      // which ended it, or 0
  bool timed_out = false;
  std::string out;
  std::string err;
};

// Runs `body` in a forked child, which ends with status 0 once body returns, and with 99 if it throws (the
// text of the exception is on its stderr). The caller must have no other thread, so no runtime, at that time.
child_result run_in_child(const std::function<void()>& body, const child_options& options = {});

// Runs a program, found by PATH. A program that cannot be started ends with 127.
child_result run_program(const std::vector<std::string>& arguments, const child_options& options = {});

// A program that runs beside the test, a server for instance. Killed when it goes out of scope.
class background_program {
 public:
  explicit background_program(const std::vector<std::string>& arguments, const child_options& options = {});
  ~background_program();
  background_program(const background_program&) = delete;
  background_program& operator=(const background_program&) = delete;

  // Reads its stdout and stderr together until `text` has appeared, and returns all that came so far. Throws
  // std::runtime_error, with that, if the program ends first or the time is over.
  std::string wait_for(const std::string& text, std::chrono::milliseconds timeout = std::chrono::seconds{10});

  void send_signal(int signal) const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  // Waits for its end, and kills it if it has not come by then. Its output is in `out`.
  child_result finish(std::chrono::milliseconds timeout = std::chrono::seconds{10});

 private:
  void read_some(std::chrono::steady_clock::time_point until);

  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
};

}  // namespace zsync::test
