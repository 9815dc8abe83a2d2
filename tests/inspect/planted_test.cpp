// What hangs is explained by the dump: by call, by a signal, and from outside.
#include "planted.hpp"

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/channel/channel.hpp>
#include <zsync/channel/mutex.hpp>
#include <zsync/io/inspection.hpp>
#include <zsync/io/inspection_socket.hpp>
#include <zsync/io/socket_address.hpp>
#include <zsync/io/tcp.hpp>
#include <zsync/sched/dump_on.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <regex>
#include <sstream>
#include <thread>
#include <tuple>

namespace zsync::test {
namespace {

using namespace std::chrono_literals;
using kept = std::vector<std::shared_ptr<void>>;

template <class T, class... Args>
T& keep(kept& all, Args&&... args) {
  auto one = std::make_shared<T>(std::forward<Args>(args)...);
  all.push_back(one);
  return *one;
}

void sow_deadlock(runtime& in, kept& all) {
  auto& locks = keep<std::array<mutex, 2>>(all);
  auto& held = keep<std::atomic<int>>(all);
  for (const int first : {0, 1}) {
    const auto place = static_cast<std::size_t>(first);
    in.spawn({.name = first == 0 ? "takes A" : "takes B"}, [&locks, &held, place] {
        locks[place].lock();
        ++held;
        while (held != 2) this_fiber::sleep_for(1ms);
        locks[1 - place].lock();
      }).detach();
  }
}

void sow_circle_of_joins(runtime& in, kept& all) {
  auto& lock = keep<mutex>(all);
  auto& taken = keep<std::atomic<bool>>(all);
  auto& group = keep<std::unique_ptr<task_group>>(all, std::make_unique<task_group>());
  in.spawn({.name = "parent"}, [&] {
      lock.lock();
      taken = true;
      group->spawn({.name = "child"}, [&] {
        fiber<> grandchild({.name = "grandchild"}, [&] { lock.lock(); });
        grandchild.join();
      });
      group->wait();
    }).detach();
}

void sow_forgotten_wake(runtime& in, kept&) {
  in.spawn({.name = "nobody wakes me"}, [] { this_fiber::park(); }).detach();
}

void sow_full_channel(runtime& in, kept& all) {
  auto& ends = keep<std::pair<sender<int>, receiver<int>>>(all, channel<int>(2));
  in.spawn({.name = "sends a third"}, [&ends] {
      for (int i = 0; i < 3; ++i) ends.first.send(i);
    }).detach();
}

void sow_reader(runtime& in, kept& all) {
  auto& listener = keep<tcp_listener>(
      all, in.block_on([] { return tcp_listener::bind(socket_address::parse("127.0.0.1:0")); }));
  in.spawn({.name = "reads"}, [&listener] {
      auto tcp = tcp_stream::connect(listener.local_address());
      std::byte one[1];
      tcp.read(one);
    }).detach();
}

void sow_blocked_worker(runtime& in, kept&) {
  in.spawn({.name = "holds its worker"}, [] {
      for (;;) ::usleep(1000);
    }).detach();
}

std::string own_program() {
  char path[4096];
  const ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, n > 0 ? static_cast<std::size_t>(n) : 0);
}

std::string missing(const std::string& dump, const plant& one) {
  for (const std::string& expression : one.told) {
    if (!std::regex_search(dump, std::regex(expression))) return expression;
  }
  return {};
}

// Asks until everything is told: the fibers need a moment to hang.
template <class Ask>
std::string ask_until_told(const plant& one, Ask ask) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  for (;;) {
    std::string dump = ask();
    if (missing(dump, one).empty() || std::chrono::steady_clock::now() > end) return dump;
    std::this_thread::sleep_for(10ms);
  }
}

class planted_program {
 public:
  explicit planted_program(const plant& one, const std::string& dumps = "/dev/null")
      : program_({own_program(), "runs what was planted"},
                 {.environment = {"ZSYNC_PLANT=" + one.name, "ZSYNC_PLANT_DUMPS=" + dumps, "ZSYNC_INSPECT=1",
                                  "XDG_RUNTIME_DIR=" + home_.path().string()}}) {
    program_.wait_for("planted", 30s);
  }
  background_program& operator*() { return program_; }
  background_program* operator->() { return &program_; }
  [[nodiscard]] std::string pid() const { return std::to_string(program_.pid()); }
  [[nodiscard]] const std::filesystem::path& home() const { return home_.path(); }
  [[nodiscard]] std::string socket() const { return (home_ / ("zsync-" + pid() + ".sock")).string(); }

 private:
  temporary_directory home_;  // of its socket, which it leaves behind because it is killed
  background_program program_;
};

const plant& plant_called(const std::string& name) {
  for (const plant& one : all_plants()) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no plant is called " + name);
}

// In a child, for nothing of this ever ends.
void check_told_by_call(const plant& one, const runtime_options& options) {
  const auto result = run_in_child([&] {
    runtime own(options);
    kept all;
    one.sow(own, all);
    std::cout << ask_until_told(one, [&] {
      std::ostringstream text;
      own.dump(text);
      return text.str();
    }) << std::flush;
    ::_exit(0);
  });
  INFO(one.name << ":\n" << result.out << result.err);
  CHECK(missing(result.out, one) == "");
  CHECK(result.exit_code == 0);
}

}  // namespace

const std::vector<plant>& all_plants() {
  static const std::vector<plant> all{
      {"deadlock",
       sow_deadlock,
       {"'takes A': waiting, mutex 0x[0-9a-f]+ held by fiber [0-9]+ 'takes B', for ",
        "'takes B': waiting, mutex 0x[0-9a-f]+ held by fiber [0-9]+ 'takes A', for ",
        "these wait for each other:\n"
        "  fiber [0-9]+ 'takes (A|B)' waits for mutex 0x[0-9a-f]+, which is held by fiber [0-9]+ 'takes "
        "(A|B)'\n"
        "  fiber [0-9]+ 'takes (A|B)' waits for mutex 0x[0-9a-f]+, which is held by fiber [0-9]+ 'takes "
        "(A|B)'\n"}},
      {"circle of joins",
       sow_circle_of_joins,
       {"'parent': waiting, task group 0x[0-9a-f]+ with 1 children",
        "'child': waiting, join 0x[0-9a-f]+ of fiber [0-9]+ 'grandchild'",
        "'child' waits for the end of fiber [0-9]+ 'grandchild'\n",
        "'parent' waits for task group 0x[0-9a-f]+, a child of which is fiber [0-9]+ 'child'\n",
        "'grandchild' waits for mutex 0x[0-9a-f]+, which is held by fiber [0-9]+ 'parent'\n"}},
      {"forgotten wake",
       sow_forgotten_wake,
       {"'nobody wakes me': waiting, park, for [0-9.]+ s\n    spawned at [^\n]*sow_forgotten_wake"}},
      {"full channel",
       sow_full_channel,
       {"'sends a third': waiting, channel send 0x[0-9a-f]+ \\(2 of 2 messages\\), for "}},
      {"reader",
       sow_reader,
       {"'reads': waiting, read 0x[0-9a-f]+ \\(descriptor [0-9]+, local 127.0.0.1:[0-9]+, peer "
        "127.0.0.1:[0-9]+\\), for "}},
      {"blocked worker",
       sow_blocked_worker,
       {"worker [0-9] is running fiber [0-9]+ 'holds its worker' and did not answer", "usleep",
        "sow_blocked_worker"}},
  };
  return all;
}

void run_planted(const plant& one, const runtime_options& options) {
  runtime& own = *new runtime(options);
  kept& all = *new kept;
  one.sow(own, all);
  std::cout << "planted " << ::getpid() << std::endl;
  for (;;) ::pause();
}

TEST_CASE("runs what was planted", "[.]") {
  const char* const name = std::getenv("ZSYNC_PLANT");
  const char* const dumps = std::getenv("ZSYNC_PLANT_DUMPS");
  if (name == nullptr || dumps == nullptr) return;
  const dump_on quit(SIGQUIT, ::open(dumps, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  run_planted(plant_called(name), {.workers = 2});
}

TEST_CASE("what hangs is explained by a dump", "[inspect]") {
  matrix({.backends = false, .policies = true}, [](const runtime_options& options) {
    for (const plant& one : all_plants()) check_told_by_call(one, options);
  });
}

TEST_CASE("who waits for a socket is told with both its ends", "[inspect]") {
  matrix([](const runtime_options& options) { check_told_by_call(plant_called("reader"), options); });
}

TEST_CASE("what waits for nobody in a circle is in no circle", "[inspect]") {
  matrix({.backends = false, .policies = true}, [](const runtime_options& options) {
    runtime own(options);
    mutex lock;
    std::atomic<bool> enough = false;
    std::vector<fiber<>> busy;
    // Each waits for the lock that another holds, now this way and now that.
    for (int i = 0; i < 8; ++i) {
      busy.push_back(own.spawn([&] {
        while (!enough) {
          const std::lock_guard hold(lock);
          fiber([] { this_fiber::yield(); }).join();
        }
      }));
    }
    for (int i = 0; i < 50; ++i) {
      std::ostringstream text;
      own.dump(text);
      CHECK(text.str().find("these wait") == std::string::npos);
    }
    enough = true;
    for (auto& one : busy) one.join();
  });
}

#if defined(ZSYNC_RUN)
TEST_CASE("what hangs is explained from outside", "[inspect]") {
  for (const plant& one : all_plants()) {
    planted_program program(one);
    const std::string dump = ask_until_told(one, [&] {
      return run_program({ZSYNC_RUN, "dump", program.pid()}).out;
    });
    INFO(one.name << ":\n" << dump);
    CHECK(missing(dump, one) == "");
    const auto json =
        run_program({"sh", "-c",
                     std::string(ZSYNC_RUN) + " dump --json " + program.pid() +
                         " | python3 -c 'import json, sys; d = json.load(sys.stdin); "
                         "print(len(d), len(d[0][\"fibers\"]), len(d[0][\"waiting_for_each_other\"]))'"});
    INFO(json.err);
    CHECK(std::regex_match(json.out, std::regex("1 [1-9][0-9]* [01]\n")));
  }
}

TEST_CASE("the figures of a running process are shown, and as Prometheus reads them", "[inspect]") {
  planted_program program(plant_called("blocked worker"));
  const auto seen = [&] { return run_program({ZSYNC_RUN, "stat", program.pid(), "--once"}).out; };
  const std::string figures = ask_until_told({"", {}, {"does not answer"}}, seen);
  INFO(figures);
  CHECK_THAT(figures, Catch::Contains("fibers alive          1\n"));
  CHECK_THAT(figures, Catch::Contains("does not answer: a fiber holds it"));
  const auto metrics = run_program({ZSYNC_RUN, "stat", program.pid(), "--prometheus"});
  CHECK_THAT(metrics.out, Catch::Contains("# TYPE zsync_switches_total counter\n"
                                          "zsync_switches_total{runtime=\"zsync\"} "));
  CHECK_THAT(metrics.out, Catch::Contains("zsync_fibers_alive{runtime=\"zsync\"} 1\n"));
  CHECK_THAT(metrics.out, Catch::Contains("zsync_ready_fibers{runtime=\"zsync\",worker=\""));
}

TEST_CASE("a process tells its own user and root alone", "[inspect]") {
  if (::geteuid() != 0) return;  // only root can be somebody else
  planted_program program(plant_called("forgotten wake"));
  // Anybody finds the socket, so that it is the socket that refuses.
  REQUIRE(::chmod(program.home().c_str(), 0755) == 0);
  const auto ask_as_nobody = [&] {
    return run_in_child([&] {
      ::setenv("XDG_RUNTIME_DIR", program.home().c_str(), 1);
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) std::abort();
      ::execl(ZSYNC_RUN, "zsync-run", "dump", program.pid().c_str(), nullptr);
      std::abort();
    });
  };
  const std::string path = program.socket();
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777u) == 0600u);
  // It may even connect, and is told nothing.
  for (const mode_t mode : {0600u, 0666u}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    const auto answer = ask_as_nobody();
    INFO(answer.err);
    CHECK(answer.out.empty());
    CHECK(answer.exit_code != 0);
    CHECK(answer.err.find("nobody wakes me") == std::string::npos);
  }
  CHECK(run_program({ZSYNC_RUN, "dump", program.pid()}).exit_code == 0);
}

TEST_CASE("what cannot be inspected is refused with what to do", "[inspect]") {
  const auto closed = run_program({ZSYNC_RUN, "dump", std::to_string(::getpid())});
  CHECK(closed.exit_code == 1);
  CHECK_THAT(closed.err, Catch::Contains("is not open to inspection: start it with ZSYNC_INSPECT=1"));
  const auto none = run_program({ZSYNC_RUN, "stat", "1073741824"});
  CHECK(none.exit_code == 1);
  CHECK_THAT(none.err, Catch::Contains("there is no process 1073741824"));
}

TEST_CASE("an answer that is not whole is an error, not a dump", "[inspect]") {
  const temporary_directory home;
  const std::string path = detail::inspection_socket(home.path().string(), ::getpid());
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto at = socket_address::unix_socket(path);
  REQUIRE(::bind(listener, at.native(), at.native_size()) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  std::thread answering([&] {
    for (const std::string part : {"", "[{"}) {
      const int peer = ::accept(listener, nullptr, nullptr);
      char question[64];
      std::ignore = ::recv(peer, question, sizeof question, 0);
      const std::string text = std::string(detail::inspection_greeting) + part;
      std::ignore = ::send(peer, text.data(), text.size(), MSG_NOSIGNAL);
      ::close(peer);
    }
  });
  for (int i = 0; i < 2; ++i) {
    const auto asked = run_program({ZSYNC_RUN, "dump", "--json", std::to_string(::getpid())},
                                   {.environment = {"XDG_RUNTIME_DIR=" + home.path().string()}});
    CHECK(asked.exit_code == 1);
    CHECK(asked.out.empty());
    CHECK_THAT(asked.err, Catch::Contains("broke off its answer"));
  }
  answering.join();
  ::close(listener);
}
#endif

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

TEST_CASE("SIGQUIT writes a dump, again and again, and the program goes on", "[inspect]") {
  const temporary_directory directory;
  for (const plant& one : all_plants()) {
    const std::string file = (directory / one.name).string();
    planted_program program(one, file);
    const auto written = [&] {
      std::ifstream in(file);
      return std::string{std::istreambuf_iterator<char>(in), {}};
    };
    std::size_t dumps = 0;
    for (int i = 0; i < 2; ++i) {
      const std::string dump = ask_until_told(one, [&] {
        const std::size_t before = written().size();
        program->send_signal(SIGQUIT);
        ++dumps;
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (count(written(), "zsync: end of the dump\n") != dumps &&
               std::chrono::steady_clock::now() < end)
          std::this_thread::sleep_for(5ms);
        return written().substr(before);
      });
      INFO(one.name << ":\n" << dump);
      CHECK(missing(dump, one) == "");
    }
    CHECK(::kill(program->pid(), 0) == 0);
  }
}

}  // namespace zsync::test
