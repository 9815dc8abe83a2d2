// echo-server, judged by clients that are not ours.
#include "server.hpp"

#include "support/matrix.hpp"

#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

using namespace zsync::test;

namespace {

child_result crowd(const sample_server& server, int idle, int busy, int rounds) {
  child_options options;
  options.timeout = std::chrono::seconds{50};
  return run_program({"python3", TEST_SOURCES "/crowd.py", server.port(), std::to_string(idle),
                      std::to_string(busy), std::to_string(rounds)},
                     options);
}

child_result socat(const std::string& address, const std::string& input) {
  child_options options;
  options.input = input;
  return run_program({"socat", "-t", "10", "-", "TCP:" + address}, options);
}

}  // namespace

TEST_CASE("echo-server gives socat its ping back, and a summary at the end", "[echo-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const child_result client = socat(server.address(), "ping");
    CHECK(client.out == "ping");
    CHECK(client.exit_code == 0);

    const child_result ended = server.stop_when_idle();
    CHECK(ended.exit_code == 0);
    CHECK_THAT(ended.out, Catch::EndsWith("1 request, 4 bytes, 1 connection, 0 errors, 0 open\n"));
  });
}

TEST_CASE("echo-server ends with its summary on SIGTERM, and tells what was open", "[echo-server]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options, {"--stats"});
    const std::size_t alone = server.descriptors();
    background_program client({"socat", "-u", "TCP:" + server.address(), "-"});
    REQUIRE(eventually([&] { return server.descriptors() > alone; }));
    CHECK(socat(server.address(), "ping").out == "ping");
    const child_result ended = server.stop(SIGTERM);
    CHECK(ended.exit_code == 0);
    CHECK_THAT(ended.out, Catch::Contains("4 bytes, 2 connections, "));
    CHECK_THAT(ended.out, Catch::Contains("1 open\n"));
    CHECK_THAT(ended.out, Catch::Contains("switches"));
  });
}

TEST_CASE("echo-server that has no stack for one more connection says so and ends", "[echo-server]") {
  if (sanitized) return;  // they need more address space than they are given here
  background_program server(
      {"bash", "-c",
       std::string("ulimit -v 3000000; exec ") + ZSYNC_RUN +
           " echo-server --workers 1 --backend epoll --stack-size 256M --listen 127.0.0.1:0"});
  const std::string announcement = "listening on ";
  const std::string said = server.wait_for("\n");
  REQUIRE_THAT(said, Catch::StartsWith(announcement));
  const std::string address = said.substr(announcement.size(), said.find('\n') - announcement.size());
  std::vector<std::unique_ptr<background_program>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(
        std::make_unique<background_program>(std::vector<std::string>{"socat", "-u", "TCP:" + address, "-"}));
  }
  const child_result ended = server.finish(std::chrono::seconds{30});
  CHECK_FALSE(ended.timed_out);
  CHECK(ended.exit_code == 1);
  CHECK_THAT(ended.out, Catch::Contains("zsync-run: echo-server: no stack for another fiber"));
}

TEST_CASE("200 connections are busy at once", "[echo-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const child_result clients = crowd(server, 0, 200, 20);
    CHECK(clients.err == "");
    CHECK(clients.out == "all echoed\n");
    CHECK_THAT(server.stop_when_idle().out,
               Catch::Contains("200 connections, ") && Catch::Contains("0 errors"));
  });
}

TEST_CASE("10,000 connections idle while 200 are busy", "[echo-server][slow]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const std::size_t alone = server.descriptors();
    const child_result clients = crowd(server, 10'000, 200, 20);
    CHECK(clients.err == "");
    CHECK(clients.out == "all echoed\n");
    CHECK(eventually([&] { return server.descriptors() == alone; }));
    CHECK_THAT(server.stop_when_idle().out,
               Catch::Contains("10,200 connections, ") && Catch::Contains(" 0 open"));
  });
}

TEST_CASE("a client that is killed midway leaves no descriptor behind", "[echo-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const std::size_t alone = server.descriptors();
    background_program client(sample_command("echo-client", options,
                                             {server.address(), "--connections", "200", "--pipeline", "8"}));
    REQUIRE(eventually([&] { return server.descriptors() >= alone + 200; }));
    client.send_signal(SIGKILL);
    client.finish();
    CHECK(eventually([&] { return server.descriptors() == alone; }));

    CHECK(socat(server.address(), "still there?").out == "still there?");
    CHECK_THAT(server.stop_when_idle().out, Catch::Contains("201 connections") && Catch::Contains(" 0 open"));
  });
}

TEST_CASE("large messages come back whole", "[echo-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const std::string script =
        "head -c 20000000 /dev/urandom > \"$0\"; "
        "socat -t 10 - TCP:" +
        server.address() + " < \"$0\" | cmp - \"$0\" && echo same; rm \"$0\"";
    const child_result client = run_program({"sh", "-c", script, "echo_" + server.port() + ".bytes"});
    CHECK(client.err == "");
    CHECK(client.out == "same\n");
  });
}

TEST_CASE("a port in use and an address of others get one line and a failure", "[echo-server]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const child_result second =
        run_program(sample_command("echo-server", options, {"--listen", server.address()}));
    CHECK(second.exit_code == 1);
    CHECK_THAT(second.err, Catch::StartsWith("zsync-run: echo-server: ") &&
                               Catch::Contains(server.address()) && Catch::Contains("already in use"));
    CHECK(std::count(second.err.begin(), second.err.end(), '\n') == 1);

    const child_result foreign =
        run_program(sample_command("echo-server", options, {"--listen", "192.0.2.1:7000"}));
    CHECK(foreign.exit_code == 1);
    CHECK_THAT(foreign.err,
               Catch::Contains("192.0.2.1:7000") && Catch::Contains("annot assign requested address"));
    CHECK(std::count(foreign.err.begin(), foreign.err.end(), '\n') == 1);
  });
}

TEST_CASE("where io_uring is forbidden, asking for it fails and automatic serves on epoll", "[echo-server]") {
  for (const int answer : {EPERM, ENOSYS}) {
    child_options without_uring;
    without_uring.forbidden_syscalls = {SYS_io_uring_setup};
    without_uring.forbidden_errno = answer;

    const child_result by_name = run_program(
        {ZSYNC_RUN, "echo-server", "--backend", "io_uring", "--listen", "127.0.0.1:0"}, without_uring);
    CHECK(by_name.exit_code == 1);
    CHECK_THAT(by_name.err, Catch::StartsWith("zsync-run: ") && Catch::Contains("io_uring"));
    CHECK(std::count(by_name.err.begin(), by_name.err.end(), '\n') == 1);

    zsync::runtime_options options;
    options.workers = 2;
    sample_server server("echo-server", options, {}, without_uring);
    CHECK(socat(server.address(), "ping").out == "ping");
    const std::string said = server.stop().out;
    const std::size_t first = said.find("epoll");
    CHECK(first != said.npos);
    CHECK(said.find("epoll", said.find('\n', first)) == said.npos);  // once
  }
}
