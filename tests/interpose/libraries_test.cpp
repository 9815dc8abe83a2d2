// Libraries that know nothing of fibers, against servers that are not ours, on one worker. Each server is
// stopped until all fibers have begun, or takes its time: who blocks the worker never gets an answer, or the
// sum of the times.
#include "interpose/guests.hpp"
#include "support/catch.hpp"

#include <csignal>
#include <string>

using namespace std::chrono_literals;
using namespace zsync::test;

namespace {

// A free port, until somebody takes it.
std::string free_port() {
  const zsync::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return std::to_string(ntohs(address.sin_port));
}

}  // namespace

#if defined(ZSYNC_RUN)
TEST_CASE("libcurl's easy interface waits as a fiber, for slow names and slow servers", "[interpose]") {
  background_program server({ZSYNC_RUN, "http-server", "--listen", "127.0.0.1:0", "--delay", "200ms"});
  const std::string announcement = "listening on 127.0.0.1:";
  const std::string said = server.wait_for(announcement);
  const std::size_t at = said.find(announcement) + announcement.size();
  const std::string port = said.substr(at, said.find_first_not_of("0123456789", at) - at);
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
  const std::string port = free_port();
  background_program server(
      {"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"});
  server.wait_for("Ready to accept connections");
  server.send_signal(SIGSTOP);
  const guest_run together = run_guests(GUESTS_INTERPOSED, "hiredis", 1000, server.pid(), {port});
  if (!together.built) return;
  CHECK(together.failed == 0);
  server.send_signal(SIGSTOP);
  CHECK(run_guests(GUESTS_BLOCKING, "hiredis", 2, server.pid(), {port}, 1s).timed_out);
  server.send_signal(SIGCONT);
}

TEST_CASE("OpenSSL's BIO waits as a fiber", "[interpose]") {
  if (!is_installed("openssl")) return;
  const temporary_directory folder;
  const std::string key = folder / "key.pem";
  const std::string certificate = folder / "certificate.pem";
  REQUIRE(run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                       "-nodes", "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=localhost"})
              .exit_code == 0);
  const std::string port = free_port();
  background_program server(
      {"openssl", "s_server", "-accept", "127.0.0.1:" + port, "-key", key, "-cert", certificate, "-www"});
  server.wait_for("ACCEPT");
  server.send_signal(SIGSTOP);
  // It serves one at a time.
  const guest_run together =
      run_guests(GUESTS_INTERPOSED, "openssl", 20, server.pid(), {"127.0.0.1:" + port});
  if (!together.built) return;
  CHECK(together.failed == 0);
  server.send_signal(SIGSTOP);
  CHECK(run_guests(GUESTS_BLOCKING, "openssl", 2, server.pid(), {"127.0.0.1:" + port}, 1s).timed_out);
  server.send_signal(SIGCONT);
}

TEST_CASE("a program into which it is preloaded waits as a fiber too", "[interpose]") {
  if (!is_installed("redis-server")) return;
  const std::string port = free_port();
  background_program server(
      {"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"});
  server.wait_for("Ready to accept connections");
  server.send_signal(SIGSTOP);
  const guest_run together = run_guests(GUESTS_PRELOADABLE, "hiredis", 100, server.pid(), {port}, 60s,
                                        {"LD_PRELOAD=" INTERPOSE_LIBRARY});
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
}
