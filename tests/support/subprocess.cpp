#include "support/subprocess.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace zsync::test {
namespace {

using steady = std::chrono::steady_clock;

constexpr int body_threw = 99;
constexpr int no_program = 127;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

struct pipe_pair {
  int read_end = -1;
  int write_end = -1;

  pipe_pair() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  ~pipe_pair() {
    close_end(read_end);
    close_end(write_end);
  }
  pipe_pair(const pipe_pair&) = delete;
  pipe_pair& operator=(const pipe_pair&) = delete;

  static void close_end(int& end) noexcept {
    if (end >= 0) ::close(end);
    end = -1;
  }
  static int release(int& end) noexcept { return std::exchange(end, -1); }
};

// Everything below, down to `prepare_child`, runs in the child.

void forbid(const std::vector<long>& calls, int with_errno) {
  std::vector<sock_filter> program;
  const auto returned = SECCOMP_RET_ERRNO | (static_cast<unsigned>(with_errno) & SECCOMP_RET_DATA);
  program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
  for (const long call : calls) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, returned));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail("prctl(PR_SET_NO_NEW_PRIVS)");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) fail("prctl(PR_SET_SECCOMP)");
}

void apply(const child_options& options) {
  // Catch catches these to report the test that crashed; here the crash is the result.
  for (const int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGINT, SIGPIPE}) {
    std::signal(fatal, SIG_DFL);
  }
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  if (options.descriptors_max > 0) {
    const auto most = static_cast<rlim_t>(options.descriptors_max);
    const rlimit limit{most, most};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail("setrlimit");
  }
  for (const std::string& entry : options.environment) {
    const std::size_t equals = entry.find('=');
    setenv(entry.substr(0, equals).c_str(), entry.substr(equals + 1).c_str(), 1);
  }
  if (!options.forbidden_syscalls.empty()) forbid(options.forbidden_syscalls, options.forbidden_errno);
}

[[noreturn]] void run_body(const std::function<void()>& body) noexcept {
  int status = 0;
  try {
    body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    status = body_threw;
  }
  std::fflush(nullptr);
  _exit(status);
}

[[noreturn]] void run_exec(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(errno));
  _exit(no_program);
}

template <class F>
pid_t fork_with(int in, int out, int err, const child_options& options, F child) {
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  try {
    apply(options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    _exit(body_threw);
  }
  child();
  _exit(body_threw);  // not reached: it ends by itself
}

// From here on, the parent.

int left_ms(steady::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - steady::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

// False: that was the end of it.
bool take(int fd, std::string& into) {
  std::array<char, 4096> chunk{};
  const ssize_t size = ::read(fd, chunk.data(), chunk.size());
  if (size > 0) into.append(chunk.data(), static_cast<std::size_t>(size));
  return size > 0 || (size < 0 && errno == EINTR);
}

void collect(pipe_pair& out, pipe_pair& err, child_result& result, steady::time_point until) {
  std::array<pollfd, 2> both{{{out.read_end, POLLIN, 0}, {err.read_end, POLLIN, 0}}};
  while (both[0].fd >= 0 || both[1].fd >= 0) {
    const int ready = poll(both.data(), both.size(), left_ms(until));
    if (ready < 0 && errno != EINTR) fail("poll");
    if (ready == 0) {
      result.timed_out = true;
      return;
    }
    for (std::size_t i = 0; i < both.size(); ++i) {
      if (ready > 0 && both[i].fd >= 0 && both[i].revents != 0) {
        if (!take(both[i].fd, i == 0 ? result.out : result.err)) both[i].fd = -1;
      }
    }
  }
}

// True: the child has ended, and how is in `result`.
bool ended(pid_t pid, child_result& result, int flags) {
  int status = 0;
  pid_t found = 0;
  do {
    found = waitpid(pid, &status, flags);
  } while (found < 0 && errno == EINTR);
  if (found < 0) fail("waitpid");
  if (found == 0) return false;
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return true;
}

// Waits for the end of a child; kills it once `until` has passed.
void reap(pid_t pid, child_result& result, steady::time_point until) {
  while (!result.timed_out && steady::now() < until) {
    if (ended(pid, result, WNOHANG)) return;
    usleep(1000);
  }
  if (ended(pid, result, WNOHANG)) return;
  result.timed_out = true;
  ::kill(pid, SIGKILL);
  ended(pid, result, 0);
}

template <class F>
child_result run_child(const child_options& options, F child) {
  pipe_pair in;
  pipe_pair out;
  pipe_pair err;
  const auto until = steady::now() + options.timeout;
  const pid_t pid = fork_with(in.read_end, out.write_end, err.write_end, options, child);
  pipe_pair::close_end(in.read_end);
  pipe_pair::close_end(out.write_end);
  pipe_pair::close_end(err.write_end);
  child_result result;
  try {
    // Short inputs only: they fit into the pipe's buffer, so this does not wait for the child.
    if (!options.input.empty() && ::write(in.write_end, options.input.data(), options.input.size()) < 0)
      fail("write");
    pipe_pair::close_end(in.write_end);
    collect(out, err, result, until);
  } catch (...) {
    result.timed_out = true;
    reap(pid, result, until);
    throw;
  }
  reap(pid, result, until);
  return result;
}

}  // namespace

child_result run_in_child(const std::function<void()>& body, const child_options& options) {
  return run_child(options, [&] { run_body(body); });
}

child_result run_program(const std::vector<std::string>& arguments, const child_options& options) {
  return run_child(options, [&] { run_exec(arguments); });
}

background_program::background_program(const std::vector<std::string>& arguments,
                                       const child_options& options) {
  pipe_pair in;
  pipe_pair out;
  pid_ = fork_with(in.read_end, out.write_end, out.write_end, options, [&] { run_exec(arguments); });
  output_ = pipe_pair::release(out.read_end);
}

background_program::~background_program() {
  if (pid_ > 0) finish(std::chrono::milliseconds{0});
  if (output_ >= 0) ::close(output_);
}

void background_program::read_some(steady::time_point until) {
  pollfd one{output_, POLLIN, 0};
  const int ready = poll(&one, 1, left_ms(until));
  if (ready > 0 && !take(output_, text_)) pipe_pair::close_end(output_);
}

std::string background_program::wait_for(const std::string& text, std::chrono::milliseconds timeout) {
  const auto until = steady::now() + timeout;
  while (text_.find(text) == std::string::npos) {
    if (output_ < 0) throw std::runtime_error("the program ended before it said '" + text + "':\n" + text_);
    if (steady::now() >= until)
      throw std::runtime_error("the program did not say '" + text + "' in time:\n" + text_);
    read_some(until);
  }
  return text_;
}

void background_program::send_signal(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

child_result background_program::finish(std::chrono::milliseconds timeout) {
  child_result result;
  const auto until = steady::now() + timeout;
  const pid_t pid = std::exchange(pid_, -1);
  // Not until the end of the output alone: a grandchild may hold on to it.
  bool over = false;
  while (!over && output_ >= 0 && steady::now() < until) {
    over = ended(pid, result, WNOHANG);
    if (!over) read_some(std::min(until, steady::now() + std::chrono::milliseconds{5}));
  }
  if (!over) reap(pid, result, until);
  pollfd one{output_, POLLIN, 0};
  while (output_ >= 0 && poll(&one, 1, 0) > 0) {
    if (!take(output_, text_)) pipe_pair::close_end(output_);
  }
  result.out = text_;
  return result;
}

}  // namespace zsync::test
