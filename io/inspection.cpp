#include <zsync/io/inspection.hpp>

#include <zsync/io/inspection_socket.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/peer_user.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/socket_address.hpp>
#include <zsync/io/unique_fd.hpp>
#include <zsync/sched/dump.hpp>
#include <zsync/sched/figures.hpp>
#include <zsync/sched/picture.hpp>
#include <zsync/sched/runtimes.hpp>
#include <zsync/sched/signal_mask.hpp>
#include <zsync/sched/simulator.hpp>
#include <zsync/sched/thread_name.hpp>

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <mutex>
#include <sstream>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace zsync {
namespace {

constexpr int patience_ms = 2000;  // with a peer that neither asks nor reads
constexpr std::size_t question_max = 64;

[[noreturn]] void refuse(const char* what) {
  throw std::system_error(errno, std::generic_category(), std::string("inspection: ") + what);
}

std::string socket_path() {
  const char* const directory = detail::trusted_environment("XDG_RUNTIME_DIR");
  return detail::inspection_socket(directory != nullptr && directory[0] == '/' ? directory : "/tmp",
                                   ::getpid());
}

// The name of a listening socket, gone with it: unless the next one has put its own there already, which
// cannot have the same number while the socket is open.
class bound_name {
 public:
  explicit bound_name(const std::string& path) noexcept : path_(path) {}
  ~bound_name() {
    if (bound_by_ != ::getpid()) return;
    const std::lock_guard hold(lock_);
    struct stat now {};
    if (::lstat(path_.c_str(), &now) == 0 && now.st_dev == made_.st_dev && now.st_ino == made_.st_ino)
      ::unlink(path_.c_str());
  }
  bound_name(const bound_name&) = delete;
  bound_name& operator=(const bound_name&) = delete;

  // False: errno says why.
  bool bind(int socket) {
    const socket_address at = socket_address::unix_socket(path_);
    const std::lock_guard hold(lock_);
    ::unlink(path_.c_str());  // of a process that had this number before; fails if it is somebody else's
#if defined(__linux__)
    // Before it has a name, so that it never had a wider mode.
    if (::fchmod(socket, 0600) != 0) return false;
#endif
    if (detail::kernel::bind(socket, at.native(), at.native_size()) != 0) return false;
    if (::lstat(path_.c_str(), &made_) != 0) return false;
    bound_by_ = ::getpid();
#if defined(__linux__)
    return true;
#else
    return ::chmod(path_.c_str(), 0600) == 0;
#endif
  }

 private:
  static inline std::mutex lock_;  // one looks whose the name is, and unlinks it, while no other takes it

  const std::string& path_;
  struct stat made_ {};
  pid_t bound_by_ = 0;  // a forked child leaves the name to its parent
};

std::string dump_of_all(dump_format format) {
  std::ostringstream text;
  const char* before = "[";
  for (const detail::picture& one : detail::all_pictures()) {
    if (format == dump_format::json) text << before;
    before = ",";
    format == dump_format::json ? detail::write_json(one, text) : detail::write_text(one, text);
  }
  if (format == dump_format::json) text << (*before == '[' ? "[]\n" : "]\n");
  return std::move(text).str();
}

std::string answer(std::string_view question) {
  if (question == "dump text") return dump_of_all(dump_format::text);
  if (question == "dump json") return dump_of_all(dump_format::json);
  if (question == "stat") return detail::figures_of_all();
  if (question == "prometheus") return detail::prometheus_of_all();
  return "it is not known how to answer that\n";
}

}  // namespace

class inspection::endpoint {
 public:
  endpoint() {
    int ends[2];
    if (detail::open_pipe(ends) != 0) refuse("pipe");
    stop_reads_.reset(ends[0]);
    stop_writes_.reset(ends[1]);
    listen();
    const detail::signals_blocked quiet;
    thread_ = std::make_unique<std::thread>([this] { serve(); });
  }
  ~endpoint() {
    if (::getpid() != process_) {
      // A forked child: thread, pipe and socket are its parent's. It can neither join nor detach.
      (void)thread_.release();
      return;
    }
    detail::kernel::write(stop_writes_.get(), "s", 1);
    thread_->join();
  }
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  const std::string path = socket_path();

 private:
  void listen() {
    listener_.reset(detail::open_socket(AF_UNIX, SOCK_STREAM));
    if (!listener_) refuse("socket");
    if (!name_.bind(listener_.get()) || detail::kernel::listen(listener_.get(), 8) != 0) refuse(path.c_str());
  }

  void serve() noexcept {
    detail::name_this_thread("zsync", "inspection");
    detail::lower_priority();
    while (await(listener_.get(), POLLIN, -1)) {
      const unique_fd peer(detail::accept_connection(listener_.get(), nullptr, nullptr));
      if (!peer) {
        // Out of descriptors, most likely, in which state the listener stays readable.
        await(-1, 0, 100);
        if (stopped_) return;
        continue;
      }
      try {
        serve(peer.get());
      } catch (const std::exception& error) {  // no memory
        std::fprintf(stderr, "zsync: an inspection failed: %s\n", error.what());
      }
    }
  }

  void serve(int peer) {
    uid_t user = 0;
    if (!detail::peer_user(peer, user) || (user != 0 && user != ::geteuid())) return;
    std::string question;
    while (question.empty() || question.back() != '\n') {
      char text[question_max];
      if (!await(peer, POLLIN, patience_ms)) return;
      const ssize_t n = detail::kernel::recv(peer, text, sizeof text, 0);
      if (n <= 0 || question.size() + static_cast<std::size_t>(n) > question_max) return;
      question.append(text, static_cast<std::size_t>(n));
    }
    question.pop_back();
    send_all(peer, detail::inspection_greeting) && send_all(peer, answer(question)) &&
        send_all(peer, detail::inspection_end);
  }

  bool send_all(int peer, std::string_view text) noexcept {
    while (!text.empty()) {
      if (!await(peer, POLLOUT, patience_ms)) return false;
      const ssize_t n = detail::kernel::send(peer, text.data(), text.size(), detail::no_sigpipe);
      if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  // False: the time is over, or this is to end.
  bool await(int fd, short events, int milliseconds) noexcept {
    for (;;) {
      pollfd set[2] = {{fd, events, 0}, {stop_reads_.get(), POLLIN, 0}};
      const int n = detail::kernel::poll(set, 2, milliseconds);
      if (n < 0 && errno == EINTR) continue;
      stopped_ = stopped_ || set[1].revents != 0;
      return n > 0 && !stopped_;
    }
  }

  unique_fd stop_reads_, stop_writes_, listener_;
  bound_name name_{path};
  bool stopped_ = false;  // its thread's
  const pid_t process_ = ::getpid();
  std::unique_ptr<std::thread> thread_;
};

std::shared_ptr<inspection::endpoint> inspection::open() {
  static std::mutex lock;
  static std::weak_ptr<endpoint> shared;  // lock
  const std::lock_guard hold(lock);
  std::shared_ptr<endpoint> one = shared.lock();
  if (one == nullptr) shared = one = std::make_shared<endpoint>();
  return one;
}

inspection::inspection() : endpoint_(open()) {}

const std::string& inspection::path() const noexcept { return endpoint_->path; }

std::shared_ptr<const void> detail::inspection_if_asked() noexcept {
  const char* const asked = trusted_environment("ZSYNC_INSPECT");
  if (asked == nullptr || std::string_view(asked) != "1" || simulator::of_thread() != nullptr) return nullptr;
  try {
    return std::make_shared<const inspection>();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "zsync: ZSYNC_INSPECT: %s\n", error.what());
    return nullptr;
  }
}

}  // namespace zsync
