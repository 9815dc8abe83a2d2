#include <zsync/sched/dump_on.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/dump.hpp>
#include <zsync/sched/picture.hpp>
#include <zsync/sched/signal_mask.hpp>
#include <zsync/sched/thread_name.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <list>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

namespace zsync {
namespace {

// What a pipe takes without blocking once poll() says that it takes something; a POSIX constant.
constexpr std::size_t taken_at_once = 512;
constexpr int last_patience_ms = 100;  // with who does not read, once this is to end

// What the handler knows of each signal. It counts itself before it looks for the descriptor, and who closes
// that waits, after taking it away, until nobody is counted.
struct handled {
  std::atomic<int> wake{-1};
  std::atomic<unsigned> within{0};
  std::atomic<pid_t> process{0};
};
constexpr int signals_max = 65;
std::array<handled, signals_max> handlers;

constexpr char request = 'd';
constexpr char no_request = 'e';

// Nothing is lost where it does not fit: a full pipe is readable, and full of requests.
void rouse(int pipe, char why) noexcept {
  const char text[] = {why, '\0'};
  detail::signal_safe_text(pipe) << text;
}

void on_signal(int signal) {
  const int saved = errno;
  handled& here = handlers[static_cast<std::size_t>(signal)];
  here.within.fetch_add(1);
  if (const int wake = here.wake.load(); wake < 0) {
    // It has just been put back.
  } else if (here.process.load() == ::getpid()) {
    rouse(wake, request);
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
  const std::list<detail::picture> all = detail::all_pictures();
  for (const detail::picture& one : all) detail::write_text(one, text);
  if (all.empty()) text << "there is no runtime\n";
  text << "zsync: end of the dump\n";
  return text.str();
}

// Neither end blocks, nor is it inherited by other programs.
bool open_pipe(std::array<int, 2>& ends) noexcept {
#if defined(__APPLE__)
  if (::pipe(ends.data()) != 0) return false;
  for (const int end : ends) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
  return true;
#else
  return ::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0;
#endif
}

}  // namespace

class dump_on::watch {
 public:
  watch(int signal, int descriptor) : signal_(signal), descriptor_(descriptor) {
    if (signal <= 0 || signal >= signals_max) refuse(EINVAL, "dump_on: there is no such signal");
    if (!open_pipe(ends_)) refuse(errno, "dump_on: pipe");
    int nobody = -1;
    if (!of_signal().wake.compare_exchange_strong(nobody, ends_[1])) {
      close_both();
      refuse(EBUSY, "dump_on: that signal has one already");
    }
    of_signal().process.store(::getpid());
    try {
      const detail::signals_blocked quiet;
      thread_ = std::make_unique<std::thread>([this] { serve(); });
      install();
    } catch (...) {
      end();
      throw;
    }
  }
  ~watch() {
    ::sigaction(signal_, &before_, nullptr);
    of_signal().process.load() == ::getpid() ? end() : forget();
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

  // A forked child shares the pipe, so closing it would not be seen.
  void end() noexcept {
    of_signal().wake.store(-1);
    while (of_signal().within.load() != 0) std::this_thread::yield();
    ending_.store(true);
    rouse(ends_[1], no_request);
    if (thread_ != nullptr) thread_->join();
    close_both();
  }

  // In a forked child: thread and pipe are its parent's, and so was who may have been in the handler.
  void forget() noexcept {
    of_signal().wake.store(-1);
    of_signal().within.store(0);
    (void)thread_.release();  // it can be neither joined nor detached here
    close_both();
  }

  void close_both() noexcept {
    for (const int end : ends_) ::close(end);
  }

  // Whether there were any; they are answered together.
  bool take_requests() noexcept {
    char some[256];
    bool any = false;
    for (;;) {
      const ssize_t n = ::read(ends_[0], some, sizeof some);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return any;
      any = any || std::find(some, some + n, request) != some + n;
    }
  }

  void serve() noexcept {
    detail::name_this_thread("zsync", "dump");
    for (;;) {
      pollfd pipe{ends_[0], POLLIN, 0};
      if (!ending_.load()) ::poll(&pipe, 1, -1);
      const bool last = ending_.load();  // no request comes after it
      wanted_ = take_requests();
      while (wanted_) answer();
      if (last) return;
    }
  }

  void answer() noexcept {
    wanted_ = false;
    try {
      write_all(dump_of_all(signal_));
    } catch (const std::bad_alloc&) {
      write_all("zsync: there is no memory for a dump\n");
    }
  }

  void write_all(std::string_view text) noexcept {
    while (!text.empty() && may_write()) {
      const ssize_t n = ::write(descriptor_, text.data(), std::min(text.size(), taken_at_once));
      if (n > 0) {
        text.remove_prefix(static_cast<std::size_t>(n));
      } else if (n == 0 || (errno != EINTR && errno != EAGAIN) || ending_.load()) {
        return;  // nobody can read it, or not now
      }
    }
  }

  // Waits until the descriptor takes something, or an error; false: this is to end, and nobody reads.
  bool may_write() noexcept {
    for (;;) {
      const bool ending = ending_.load();
      pollfd set[2] = {{descriptor_, POLLOUT, 0}, {ends_[0], POLLIN, 0}};
      const int n = ::poll(set, ending ? 1 : 2, ending ? last_patience_ms : -1);
      if (n < 0 && errno == EINTR) continue;
      if (set[1].revents != 0 && take_requests()) wanted_ = true;
      if (n <= 0 || set[0].revents != 0) return n > 0;
    }
  }

  const int signal_;
  const int descriptor_;
  std::array<int, 2> ends_{-1, -1};
  struct sigaction before_ {};
  std::atomic<bool> ending_{false};
  bool wanted_ = false;  // one more dump; the thread's
  std::unique_ptr<std::thread> thread_;
};

dump_on::dump_on(int signal, int descriptor) : watch_(std::make_unique<watch>(signal, descriptor)) {}
dump_on::~dump_on() = default;

}  // namespace zsync
