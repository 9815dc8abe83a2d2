#include <zsync/io/kernel.hpp>
#include <zsync/io/offload.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/pipe.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/io/process.hpp>
#include <zsync/io/unique_fd.hpp>
#include <zsync/sched/scope.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#if defined(__APPLE__)
#include <crt_externs.h>
#define ZSYNC_ENVIRON (*_NSGetEnviron())  // a dynamic library does not see `environ`
#else
extern char** environ;
#define ZSYNC_ENVIRON environ
#endif

namespace zsync {
namespace {

using detail::descriptor_kind;
using detail::descriptor_ptr;

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void check(int error, const char* what) {
  if (error != 0) detail::fail({error, std::system_category()}, what);
}

class file_actions {
 public:
  file_actions() { check(::posix_spawn_file_actions_init(&actions_), "spawn"); }
  ~file_actions() { ::posix_spawn_file_actions_destroy(&actions_); }
  file_actions(const file_actions&) = delete;
  file_actions& operator=(const file_actions&) = delete;

  void duplicate(int from, int to) {
    check(::posix_spawn_file_actions_adddup2(&actions_, from, to), "spawn");
  }
  void open_null(int fd) {
    check(::posix_spawn_file_actions_addopen(&actions_, fd, "/dev/null", O_RDWR, 0), "spawn");
  }
  void change_directory(const char* path) {
    check(::posix_spawn_file_actions_addchdir_np(&actions_, path), "spawn");
  }
  // All above the standard three, also those that others forgot to mark as closed on exec.
  void close_others() {
#if ZSYNC_HAS_SPAWN_CLOSEFROM
    check(::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1), "spawn");
#elif !defined(POSIX_SPAWN_CLOEXEC_DEFAULT)
    // Those there are now; what another thread opens meanwhile without that mark escapes.
    const long end = ::sysconf(_SC_OPEN_MAX);
    for (int fd = STDERR_FILENO + 1; fd < end; ++fd) {
      const int flags = detail::kernel::fcntl(fd, F_GETFD);
      if (flags < 0 || (flags & FD_CLOEXEC) != 0) continue;
      check(::posix_spawn_file_actions_addclose(&actions_, fd), "spawn");
    }
#endif
  }
  void keep(int fd) {
#if defined(POSIX_SPAWN_CLOEXEC_DEFAULT)
    check(::posix_spawn_file_actions_addinherit_np(&actions_, fd), "spawn");
#else
    static_cast<void>(fd);
#endif
  }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

class spawn_attributes {
 public:
  spawn_attributes() {
    check(::posix_spawnattr_init(&attributes_), "spawn");
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
#if defined(POSIX_SPAWN_CLOEXEC_DEFAULT)
    flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    ::posix_spawnattr_setflags(&attributes_, flags);
  }
  ~spawn_attributes() { ::posix_spawnattr_destroy(&attributes_); }
  spawn_attributes(const spawn_attributes&) = delete;
  spawn_attributes& operator=(const spawn_attributes&) = delete;

  [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// The child's end of a pipe is blocking, as programs expect; ours is not.
struct child_pipe {
  unique_fd child;
  descriptor_ptr ours;
};

child_pipe make_pipe(bool child_reads) {
  int ends[2];
  if (detail::open_pipe(ends, true) != 0) check(errno, "pipe");
  unique_fd reader(ends[0]);
  unique_fd writer(ends[1]);
  unique_fd& own = child_reads ? writer : reader;
  detail::kernel::fcntl(own.get(), F_SETFL, detail::kernel::fcntl(own.get(), F_GETFL) | O_NONBLOCK);
  child_pipe p;
  p.ours = descriptor_ptr::adopt(own.release(), descriptor_kind::other);
  p.child = std::move(child_reads ? reader : writer);
  return p;
}

descriptor_ptr connect_stream(child_stream how, int number, file_actions& actions,
                              std::vector<unique_fd>& keep) {
  if (how == child_stream::null) actions.open_null(number);
  if (how == child_stream::inherit) actions.keep(number);
  if (how != child_stream::pipe) return {};
  child_pipe p = make_pipe(number == STDIN_FILENO);
  // Out of the way of the three numbers, which dup2 would otherwise overwrite before it has read them.
  if (p.child.get() <= STDERR_FILENO) p.child.reset(detail::kernel::fcntl(p.child.get(), F_DUPFD_CLOEXEC, 3));
  actions.duplicate(p.child.get(), number);
  keep.push_back(std::move(p.child));
  return std::move(p.ours);
}

descriptor_ptr watch(pid_t pid) {
#if defined(SYS_pidfd_open)
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return descriptor_ptr::adopt(static_cast<int>(fd), descriptor_kind::other);
#else
  static_cast<void>(pid);
#endif
  return {};
}

exit_status decode(int raw) noexcept {
  if (WIFEXITED(raw)) return {WEXITSTATUS(raw), 0};
  return {-1, WTERMSIG(raw)};
}

pid_t wait_for(pid_t pid, int& raw) noexcept {
  pid_t ended = 0;
  do ended = ::waitpid(pid, &raw, 0);
  while (ended < 0 && errno == EINTR);
  return ended;
}

// Lifts the deadline scopes around what has to be waited for in any case.
class no_deadlines {
 public:
  no_deadlines() noexcept : lifted_(std::exchange(detail::innermost_deadline(), nullptr)) {}
  ~no_deadlines() { detail::innermost_deadline() = lifted_; }
  no_deadlines(const no_deadlines&) = delete;
  no_deadlines& operator=(const no_deadlines&) = delete;

 private:
  detail::deadline_frame* const lifted_;
};

}  // namespace

process process::spawn(const std::vector<std::string>& arguments, const process_options& options) {
  if (arguments.empty()) check(EINVAL, "spawn");
  file_actions actions;
  const spawn_attributes attributes;
  std::vector<unique_fd> keep;
  process child;
  child.in_ = write_half(connect_stream(options.in, STDIN_FILENO, actions, keep));
  child.out_ = read_half(connect_stream(options.out, STDOUT_FILENO, actions, keep));
  child.err_ = read_half(connect_stream(options.err, STDERR_FILENO, actions, keep));
  if (!options.directory.empty()) actions.change_directory(options.directory.c_str());
  actions.close_others();
  std::vector<char*> argv = pointers_to(arguments);
  std::vector<char*> env;
  if (options.environment) env = pointers_to(*options.environment);
  // The calling thread stands still until the child has called exec.
  std::error_code ec;
  int error = 0;
  detail::offload(ec, [&] {
    error = ::posix_spawnp(&child.pid_, argv[0], actions.get(), attributes.get(), argv.data(),
                           options.environment ? env.data() : ZSYNC_ENVIRON);
    if (error != 0) child.pid_ = -1;
    return 0;
  });
  detail::throw_if(ec, "spawn");
  check(error, arguments[0].c_str());
  child.watch_ = watch(child.pid_);
  return child;
}

process process::spawn(const std::vector<std::string>& arguments, const process_options& options,
                       std::error_code& ec) {
  ec.clear();
  try {
    return spawn(arguments, options);
  } catch (const cancelled&) {
    ec = std::make_error_code(std::errc::operation_canceled);
  } catch (const std::system_error& e) {
    ec = e.code();
  }
  return {};
}

exit_status process::wait(std::error_code& ec) {
  ec.clear();
  if (pid_ <= 0) return status_;
  int raw = 0;
  if (watch_) {
    detail::wait_ready(watch_, detail::direction::in, ec);
    if (ec) return {};
    if (wait_for(pid_, raw) < 0) ec = {errno, std::system_category()};
  } else {
    detail::offload(ec, [&] { return wait_for(pid_, raw); });
  }
  if (ec) return {};
  pid_ = -1;
  return status_ = decode(raw);
}

exit_status process::wait() {
  std::error_code ec;
  const exit_status status = wait(ec);
  detail::throw_if(ec, "wait");
  return status;
}

void process::kill(int signal) {
  if (pid_ > 0 && ::kill(pid_, signal) != 0) check(errno, "kill");
}

void process::detach() noexcept {
  pid_ = -1;
  watch_ = {};
}

process::process(process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      watch_(std::move(other.watch_)),
      status_(other.status_),
      in_(std::move(other.in_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

process& process::operator=(process&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    watch_ = std::move(other.watch_);
    status_ = other.status_;
    in_ = std::move(other.in_);
    out_ = std::move(other.out_);
    err_ = std::move(other.err_);
  }
  return *this;
}

process::~process() { end(); }

// A killed process ends soon, but has its memory to give back before, or a device to wait for.
void process::end() noexcept {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  int raw = 0;
  pid_t ended = 0;
  do ended = ::waitpid(pid_, &raw, WNOHANG);
  while (ended < 0 && errno == EINTR);
  if (ended == 0) {
    const cancellation_shield no_cancellation;
    const no_deadlines unlimited;
    std::error_code ec;
    try {
      wait(ec);
    } catch (const std::bad_alloc&) {
      ec = std::make_error_code(std::errc::not_enough_memory);
    }
    if (ec) wait_for(pid_, raw);
  }
  pid_ = -1;
}

}  // namespace zsync
