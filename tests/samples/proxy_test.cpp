// tcp-proxy and socks5-proxy, with curl through them.
#include "server.hpp"

#include "support/matrix.hpp"

using namespace zsync::test;

namespace {

child_result curl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"curl", "--silent", "--show-error", "--max-time", "10"});
  return run_program(arguments);
}

}  // namespace

TEST_CASE("curl reaches a server through tcp-proxy", "[tcp-proxy]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    sample_server proxy("tcp-proxy", options, {server.address()});
    CHECK(curl({"http://" + proxy.address() + "/"}).out == "Hello from a fiber.\n");
    CHECK_THAT(proxy.stop_when_idle().out, Catch::Contains("1 connection, 0 errors, 0 open"));
  });
}

TEST_CASE("tcp-proxy passes bytes and the end of each direction on", "[tcp-proxy]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    sample_server proxy("tcp-proxy", options, {server.address()});
    const child_result client = run_program(
        {"sh", "-c", "head -c 5000000 /dev/zero | socat -t 10 - TCP:" + proxy.address() + " | wc -c"});
    CHECK(client.out == "5000000\n");
    CHECK_THAT(server.stop().out, Catch::Contains("5,000,000 bytes"));
  });
}

TEST_CASE("tcp-proxy without its target ends the connection, and goes on", "[tcp-proxy]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    sample_server proxy("tcp-proxy", options, {"127.0.0.1:1"});
    CHECK(curl({"http://" + proxy.address() + "/"}).exit_code != 0);
    CHECK(curl({"http://" + proxy.address() + "/"}).exit_code != 0);
    CHECK_THAT(proxy.stop_when_idle().out, Catch::Contains("2 connections, 2 errors, 0 open"));
  });
}

TEST_CASE("curl reaches servers through socks5-proxy, by number and by name", "[socks5-proxy]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    sample_server proxy("socks5-proxy", options);
    const std::string hello = "Hello from a fiber.\n";
    CHECK(curl({"--proxy", "socks5://" + proxy.address(), "http://" + server.address() + "/"}).out == hello);
    CHECK(curl({"--proxy", "socks5h://" + proxy.address(), "http://localhost:" + server.port() + "/"}).out ==
          hello);

    const child_result refused = curl({"--proxy", "socks5h://" + proxy.address(), "http://127.0.0.1:1/"});
    CHECK(refused.exit_code == 97);                   // "proxy handshake error"
    CHECK_THAT(refused.err, Catch::Contains("(5)"));  // connection refused
    const child_result unknown = curl({"--proxy", "socks5h://" + proxy.address(), "http://nobody.invalid/"});
    CHECK(unknown.exit_code == 97);
  });
}
