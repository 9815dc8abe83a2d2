// Libraries that know nothing of fibers, against servers that are not ours, on one worker. Each server is
// stopped until all fibers have begun, or takes its time: who blocks the worker never gets an answer, or the
// sum of the times.
#include "interpose/guests.hpp"
#include "support/catch.hpp"

#include <unistd.h>

#include <csignal>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using namespace zsync::test;

namespace {

// What stands behind `announcement`, up to the end of the figures.
std::string port_behind(background_program& server, const std::string& announcement) {
  const std::string said = server.wait_for(announcement);
  const std::size_t at = said.find(announcement) + announcement.size();
  return said.substr(at, said.find_first_not_of("0123456789", at) - at);
}

// A redis-server of the test's own. On TCP, for hiredis gives up on a unix socket whose backlog is full; on a
// port below those that the kernel hands out, so that only another of these can have it.
class redis {
 public:
  redis() {
    constexpr int attempts_max = 20;
    for (int attempt = 1;; ++attempt) {
      port = std::to_string(10'000 + (::getpid() * 7 + attempt * 1009) % 20'000);
      program.emplace(std::vector<std::string>{"redis-server", "--port", port, "--bind", "127.0.0.1",
                                               "--save", "", "--appendonly", "no", "--tcp-backlog", "2048"});
      try {
        program->wait_for("Ready to accept connections");
        return;
      } catch (const std::runtime_error&) {
        if (attempt == attempts_max) throw;
      }
    }
  }

  std::string port;
  std::optional<background_program> program;
};

}  // namespace

#if defined(ZSYNC_RUN)
TEST_CASE("libcurl's easy interface waits as a fiber, for slow names and slow servers", "[interpose]") {
  background_program server({ZSYNC_RUN, "http-server", "--listen", "127.0.0.1:0", "--delay", "200ms"});
  const std::string port = port_behind(server, "listening on 127.0.0.1:");
  const std::string url = "http://slow.test:" + port + "/";
  constexpr int many = 200;
  constexpr int few = 5;
  constexpr double each = 0.3;
  const guest_run together = run_guests(GUESTS_INTERPOSED, "curl", many, 0, {url});
  if (!together.built) return;
  CHECK(together.failed == 0);
  CHECK(together.seconds < many * each / 4);
  const guest_run one_by_one = run_guests(GUESTS_BLOCKING, "curl", few, 0, {url});
  CHECK(one_by_one.failed == 0);
  CHECK(one_by_one.seconds >= few * each * 0.99);
}
#endif

TEST_CASE("hiredis waits as a fiber, a thousand times", "[interpose]") {
  if (!is_installed("redis-server")) return;
  redis server;
  server.program->send_signal(SIGSTOP);
  const guest_run together =
      run_guests(GUESTS_INTERPOSED, "hiredis", 1000, server.program->pid(), {server.port});
  if (!together.built) return;
  CHECK(together.failed == 0);
  server.program->send_signal(SIGSTOP);
  CHECK(run_guests(GUESTS_BLOCKING, "hiredis", 2, server.program->pid(), {server.port}, 1s).timed_out);
  server.program->send_signal(SIGCONT);
  // Where each has to wait for its answer, it is the longest wait or the sum of all.
  constexpr int few = 5;
  constexpr double each = 0.1;
  const guest_run waiting = run_guests(GUESTS_INTERPOSED, "hiredis", 1000, 0, {server.port, "0.1"});
  CHECK(waiting.failed == 0);
  CHECK(waiting.seconds < 1000 * each / 4);
  const guest_run one_by_one = run_guests(GUESTS_BLOCKING, "hiredis", few, 0, {server.port, "0.1"});
  CHECK(one_by_one.failed == 0);
  CHECK(one_by_one.seconds >= few * each * 0.99);
}

TEST_CASE("OpenSSL's BIO waits as a fiber", "[interpose]") {
  if (!is_installed("openssl")) return;
  const temporary_directory folder;
  const std::string key = folder / "key.pem";
  const std::string certificate = folder / "certificate.pem";
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost"})
              .exit_code == 0);
  background_program server(
      {"openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate, "-www"});
  const std::string address = "127.0.0.1:" + port_behind(server, "ACCEPT 127.0.0.1:");
  server.send_signal(SIGSTOP);
  // It serves one at a time.
  const guest_run together = run_guests(GUESTS_INTERPOSED, "openssl", 20, server.pid(), {address});
  if (!together.built) return;
  CHECK(together.failed == 0);
  server.send_signal(SIGSTOP);
  CHECK(run_guests(GUESTS_BLOCKING, "openssl", 2, server.pid(), {address}, 1s).timed_out);
}

TEST_CASE("a program into which it is preloaded waits as a fiber too", "[interpose]") {
  if (!is_installed("redis-server")) return;
  redis server;
  server.program->send_signal(SIGSTOP);
  const guest_run together = run_guests(GUESTS_PRELOADABLE, "hiredis", 100, server.program->pid(),
                                        {server.port}, 60s, {"LD_PRELOAD=" INTERPOSE_LIBRARY});
  if (!together.built) return;
  CHECK(together.failed == 0);
}

TEST_CASE("a library in front of it ends the program, which says so", "[interpose]") {
  const child_result refused = run_program(
      {GUESTS_PRELOADABLE, "none"}, {.environment = {"LD_PRELOAD=" USURPER_LIBRARY " " INTERPOSE_LIBRARY}});
  CHECK(refused.exit_code == 127);
  CHECK(refused.err.find("interposition inactive: library order: poll() of other libraries goes to") !=
        std::string::npos);
  CHECK(refused.err.find("usurper") != std::string::npos);
}

TEST_CASE("a program without zsync runs as ever when it is preloaded", "[interpose]") {
  const child_result echo =
      run_program({"sh", "-c", "sleep 0.01; echo well"}, {.environment = {"LD_PRELOAD=" INTERPOSE_LIBRARY}});
  CHECK(echo.out == "well\n");
  CHECK(echo.err.empty());
  CHECK(echo.exit_code == 0);
  const child_result bound_at_once =
      run_program({"/bin/true"}, {.environment = {"LD_PRELOAD=" INTERPOSE_LIBRARY, "LD_BIND_NOW=1"}});
  CHECK(bound_at_once.err == "");
  CHECK(bound_at_once.exit_code == 0);
}

TEST_CASE("a program that keeps its zsync to itself ends when it is preloaded, and says how to link",
          "[interpose]") {
  const std::vector<std::string> preloaded{"LD_PRELOAD=" INTERPOSE_LIBRARY};
  const child_result hidden = run_program({GUESTS_BLOCKING, "none"}, {.environment = preloaded});
  CHECK(hidden.exit_code == 127);
  CHECK(hidden.err.find("interposition inactive: this program has zsync and does not show it") !=
        std::string::npos);
  CHECK(hidden.err.find("-rdynamic") != std::string::npos);
  // One that is linked to the other form needs nothing; it ends as it does without arguments.
  const child_result linked = run_program({GUESTS_INTERPOSED}, {.environment = preloaded});
  CHECK(linked.exit_code == 2);
  CHECK(linked.err == "");
}
