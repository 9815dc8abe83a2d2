#include <zsync/sched/dump_on.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/dump.hpp>
#include <zsync/sched/runtimes.hpp>
#include <zsync/sched/signal_mask.hpp>
#include <zsync/sched/thread_name.hpp>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>

namespace zsync {
namespace {

constexpr char wanted = 'd';
constexpr char finished = 'f';

// What the handler knows of each signal. It counts itself before it looks for the descriptor, and who closes
// that waits, after taking it away, until nobody is counted.
struct handled {
  std::atomic<int> wake{-1};
  std::atomic<unsigned> within{0};
  std::atomic<pid_t> process{0};
};
constexpr int signals_max = 65;
std::array<handled, signals_max> handlers;

void tell(int descriptor, char what) noexcept {
  const char text[] = {what, '\0'};
  detail::signal_safe_text(descriptor) << text;
}

void on_signal(int signal) {
  const int saved = errno;
  handled& here = handlers[static_cast<std::size_t>(signal)];
  here.within.fetch_add(1);
  if (const int wake = here.wake.load(); wake < 0) {
    // It has just been put back.
  } else if (here.process.load() == ::getpid()) {
    tell(wake, wanted);
  } else {
    // A forked child, whose thread that would do it is the parent's.
    struct sigaction usual {};
    usual.sa_handler = SIG_DFL;
    ::sigaction(signal, &usual, nullptr);
    ::raise(signal);
  }
  here.within.fetch_sub(1);
  errno = saved;
}

[[noreturn]] void refuse(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

std::string dump_of_all(int signal) {
  std::ostringstream text;
  text << "zsync: signal " << signal << " asks process " << ::getpid() << " for a dump\n";
  bool any = false;
  detail::for_each_runtime([&](detail::scheduler& one) {
    detail::dump(one, text);
    any = true;
  });
  if (!any) text << "there is no runtime\n";
  text << "zsync: end of the dump\n";
  return text.str();
}

void write_all(int descriptor, const std::string& text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::write(descriptor, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads it
    at += static_cast<std::size_t>(n);
  }
}

}  // namespace

class dump_on::watch {
 public:
  watch(int signal, int descriptor) : signal_(signal), descriptor_(descriptor) {
    if (signal <= 0 || signal >= signals_max) refuse(EINVAL, "dump_on: there is no such signal");
    if (::pipe(ends_.data()) != 0) refuse(errno, "dump_on: pipe");
    for (const int end : ends_) ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(ends_[1], F_SETFL, O_NONBLOCK);
    int nobody = -1;
    if (!of_signal().wake.compare_exchange_strong(nobody, ends_[1])) {
      close_both();
      refuse(EBUSY, "dump_on: that signal has one already");
    }
    of_signal().process.store(::getpid());
    try {
      const detail::signals_blocked quiet;
      thread_ = std::thread([this] { serve(); });
      install();
    } catch (...) {
      end();
      throw;
    }
  }
  ~watch() {
    ::sigaction(signal_, &before_, nullptr);
    end();
  }
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

 private:
  handled& of_signal() const noexcept { return handlers[static_cast<std::size_t>(signal_)]; }

  void install() {
    struct sigaction ours {};
    ours.sa_handler = &on_signal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    if (::sigaction(signal_, &ours, &before_) != 0) refuse(errno, "dump_on: sigaction");
  }

  void end() noexcept {
    of_signal().wake.store(-1);
    while (of_signal().within.load() != 0) std::this_thread::yield();
    tell(ends_[1], finished);
    if (thread_.joinable()) thread_.join();
    close_both();
  }

  void close_both() noexcept {
    for (const int end : ends_) ::close(end);
  }

  void serve() noexcept {
    detail::name_this_thread("zsync", "dump");
    for (char what = finished;;) {
      const ssize_t n = ::read(ends_[0], &what, 1);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || what == finished) return;
      try {
        write_all(descriptor_, dump_of_all(signal_));
      } catch (const std::bad_alloc&) {
        write_all(descriptor_, "zsync: there is no memory for a dump\n");
      }
    }
  }

  const int signal_;
  const int descriptor_;
  std::array<int, 2> ends_{-1, -1};
  struct sigaction before_ {};
  std::thread thread_;
};

dump_on::dump_on(int signal, int descriptor) : watch_(std::make_unique<watch>(signal, descriptor)) {}
dump_on::~dump_on() = default;

}  // namespace zsync
