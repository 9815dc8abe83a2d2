#include "common/interrupt.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace samples {
namespace {

// A signal handler may do little more than write to a pipe. A thread reads it, not a fiber: an interrupt has
// to get through even if every worker is stuck.
std::array<int, 2> wake_pipe{-1, -1};
constexpr char interrupted = 'i';
constexpr char finished = 'f';

void send(char what) noexcept {
  const int saved = errno;
  [[maybe_unused]] const auto sent = ::write(wake_pipe[1], &what, 1);
  errno = saved;
}

extern "C" void on_signal(int) {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  send(interrupted);
}

char receive() noexcept {
  char what = finished;
  while (::read(wake_pipe[0], &what, 1) < 0 && errno == EINTR) {
  }
  return what;
}

void handle(int signal) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  sigaction(signal, &action, nullptr);
}

}  // namespace

interrupt_watch::interrupt_watch(std::function<void()> on_first) {
  if (::pipe(wake_pipe.data()) != 0) throw std::system_error(errno, std::system_category(), "pipe");
  for (int fd : wake_pipe) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  thread_ = std::thread([on_first = std::move(on_first)] {
    if (receive() != interrupted) return;
    on_first();
    while (receive() != finished) {
    }
  });
  handle(SIGINT);
  handle(SIGTERM);
}

interrupt_watch::~interrupt_watch() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  send(finished);
  thread_.join();
  for (int& fd : wake_pipe) {
    ::close(fd);
    fd = -1;
  }
}

}  // namespace samples
