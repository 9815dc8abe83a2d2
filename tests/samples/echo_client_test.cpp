#include "server.hpp"

#include "support/matrix.hpp"

#include <algorithm>

using namespace zsync::test;

TEST_CASE("echo-client reports rate and latency, with nothing but the report on a pipe", "[echo-client]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const child_result result = run_program(sample_command(
        "echo-client", options, {server.address(), "--connections", "50", "--seconds", "0.3"}));
    CHECK(result.exit_code == 0);
    CHECK(result.err == "");
    CHECK_THAT(result.out, Catch::Contains(" requests/s over 50 connections in "));
    CHECK_THAT(result.out, Catch::Contains("p50 ") && Catch::Contains("p99 ") && Catch::Contains("p99.9 ") &&
                               Catch::Contains("max "));
    CHECK_THAT(result.out, Catch::EndsWith("0 errors\n"));
  });
}

TEST_CASE("echo-client's JSON is valid and its figures fit together", "[echo-client]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const child_result report = run_program(sample_command(
        "echo-client", options,
        {server.address(), "-c", "20", "--size", "3000", "--pipeline", "7", "--seconds", "0.3", "--json"}));
    child_options judge;
    judge.input = report.out;
    const char* const script = R"(
import json, sys
r = json.load(sys.stdin)
l = r["latency_us"]
assert (r["connections"], r["size"], r["pipeline"], r["errors"]) == (20, 3000, 7, 0), r
assert r["requests"] > 0 and r["requests"] % 7 == 0, r
assert 0.29 < r["seconds"] < 3, r
assert abs(r["requests_per_second"] * r["seconds"] / r["requests"] - 1) < 0.01, r
assert 0 < l["p50"] <= l["p99"] <= l["p99.9"] <= l["max"], r
)";
    const child_result judged = run_program({"python3", "-c", script}, judge);
    CHECK(judged.err == "");
    CHECK(judged.exit_code == 0);
  });
}

TEST_CASE("echo-client shows its progress on a terminal", "[echo-client]") {
  zsync::runtime_options options;
  sample_server server("echo-server", options);
  const child_result result =
      run_program({"python3", "-c", "import pty, sys; pty.spawn(sys.argv[1:])", ZSYNC_RUN, "echo-client",
                   server.address(), "-c", "5", "-t", "700ms"});
  CHECK_THAT(result.out, Catch::Contains(" s  ") && Catch::Contains("\r\033[K"));
}

TEST_CASE("echo-client interrupted midway reports what was done", "[echo-client]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const std::size_t alone = server.descriptors();
    background_program client(
        sample_command("echo-client", options, {server.address(), "-c", "20", "-t", "60"}));
    REQUIRE(eventually([&] { return server.descriptors() >= alone + 20; }));
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    client.send_signal(SIGINT);
    const child_result result = client.finish();
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.out, Catch::Contains("requests/s over 20 connections") && Catch::Contains("0 errors"));
    CHECK(eventually([&] { return server.descriptors() == alone; }));
  });
}

TEST_CASE("echo-client without a server says so in one line and fails", "[echo-client]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    const child_result result =
        run_program(sample_command("echo-client", options, {"127.0.0.1:1", "-t", "1"}));
    CHECK(result.exit_code == 1);
    CHECK_THAT(result.err, Catch::StartsWith("zsync-run: echo-client: ") && Catch::Contains("127.0.0.1:1") &&
                               Catch::Contains("refused"));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK(result.out == "");
  });
}

TEST_CASE("echo-client counts a server that goes away as errors", "[echo-client]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const std::size_t alone = server.descriptors();
    background_program client(
        sample_command("echo-client", options, {server.address(), "-c", "20", "-t", "1"}));
    REQUIRE(eventually([&] { return server.descriptors() >= alone + 20; }));
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
    server.stop();
    CHECK_THAT(client.finish().out, Catch::Contains("20 errors, the first: "));
  });
}
