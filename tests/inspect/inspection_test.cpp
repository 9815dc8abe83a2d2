// The socket on which a process tells of its runtimes.
#include "support/catch.hpp"
#include "support/descriptors.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/io/inspection.hpp>
#include <zsync/io/socket_address.hpp>
#include <zsync/sched/runtime.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace test = zsync::test;
using Catch::Contains;

namespace {

class client {
 public:
  explicit client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto at = zsync::socket_address::unix_socket(path);
    if (::connect(fd_, at.native(), at.native_size()) != 0) throw std::runtime_error("connect");
  }
  ~client() { ::close(fd_); }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  void say(const std::string& what) const {
    std::ignore = ::send(fd_, what.data(), what.size(), MSG_NOSIGNAL);
  }
  [[nodiscard]] std::string hear() const {
    std::string all;
    char text[4096];
    for (ssize_t n = 0; (n = ::recv(fd_, text, sizeof text, 0)) > 0;)
      all.append(text, static_cast<std::size_t>(n));
    return all;
  }

 private:
  int fd_;
};

std::string ask(const std::string& path, const std::string& question) {
  const client one(path);
  one.say(question);
  return one.hear();
}

}  // namespace

TEST_CASE("several inspections share one socket, which goes with the last", "[inspect]") {
  const test::descriptor_map before = test::open_descriptors();
  std::optional<zsync::inspection> one(std::in_place), other(std::in_place);
  const std::string path = one->path();
  CHECK(path == other->path());
  CHECK_THAT(path, Contains("/zsync-" + std::to_string(::getpid()) + ".sock"));
  one.reset();
  CHECK_THAT(ask(path, "stat\n"), Contains("zsync inspection 1\n"));
  other.reset();
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(test::leaked_descriptors(before, test::open_descriptors()) == "");
}

TEST_CASE("an inspection that gets no thread leaves no file behind", "[inspect]") {
  const test::temporary_directory home;
  const auto result = test::run_in_child(
      [&] {
        ::setenv("XDG_RUNTIME_DIR", home.path().c_str(), 1);
        try {
          const zsync::inspection refused;
        } catch (const std::system_error& error) {
          if (error.code() == std::errc::resource_unavailable_try_again) return;
          throw;
        }
        throw std::runtime_error("there was a thread");
      },
      {.forbidden_syscalls = {SYS_clone, SYS_clone3}, .forbidden_errno = EAGAIN});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  CHECK(std::filesystem::is_empty(home.path()));
}

TEST_CASE("an inspection that begins while the last of others ends has its file", "[inspect]") {
  std::atomic<int> without = 0;
  std::vector<std::thread> openers;
  for (int i = 0; i < 2; ++i) {
    openers.emplace_back([&, i] {
      for (int n = 0; n < 400; ++n) {
        try {
          const zsync::inspection open;
          // The one before may be unlinking still.
          std::this_thread::sleep_for(std::chrono::microseconds{100});
          if (!std::filesystem::exists(open.path())) ++without;
        } catch (const std::system_error&) {  // gone before it could look at it itself
          ++without;
        }
        // So that each is the last, and meets the other's beginning at many a point.
        std::this_thread::sleep_for(std::chrono::microseconds{(n * (7 + 4 * i)) % 200});
      }
    });
  }
  for (std::thread& one : openers) one.join();
  CHECK(without == 0);
}

TEST_CASE("an inspection bears with clients that ask nothing, nonsense, or read nothing", "[inspect]") {
  const zsync::inspection open;
  zsync::runtime own({.workers = 1, .name = "own"});
  { const client hangs_up(open.path()); }
  CHECK_THAT(ask(open.path(), "what?\n"), Contains("it is not known how to answer that"));
  CHECK(ask(open.path(), std::string(10000, 'x')).empty());
  const client silent(open.path());
  {
    const client deaf(open.path());
    deaf.say("dump text\n");
  }
  CHECK_THAT(ask(open.path(), "dump text\n"), Contains("runtime 'own': 1 workers"));
  CHECK(ask(open.path(), "dump json\n").find("zsync inspection 1\n[{\"runtime\": \"own\"") == 0);
}

TEST_CASE("a forked child that destroys an inspection leaves its parent's alone", "[inspect]") {
  const auto result = test::run_in_child([] {
    std::optional<zsync::inspection> open(std::in_place);
    const std::string path = open->path();
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      open.reset();
      ::_exit(0);
    }
    int status = 0;
    if (::waitpid(child, &status, 0) != child || status != 0) std::abort();
    if (ask(path, "stat\n").find("zsync inspection 1\n") != 0) std::abort();
  });
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

TEST_CASE("nothing of an inspection is there where nobody asked", "[inspect]") {
  const auto result = test::run_in_child([] {
    ::unsetenv("ZSYNC_INSPECT");
    zsync::runtime own({.workers = 1});
    std::size_t threads = 0;
    for ([[maybe_unused]] const auto& one : std::filesystem::directory_iterator("/proc/self/task")) ++threads;
    const char* const directory = std::getenv("XDG_RUNTIME_DIR");
    const std::string path = std::string(directory != nullptr ? directory : "/tmp") + "/zsync-" +
                             std::to_string(::getpid()) + ".sock";
    if (threads > 2 + (test::sanitized ? 2 : 0) || std::filesystem::exists(path)) std::abort();
  });
  CHECK(result.exit_code == 0);
}
