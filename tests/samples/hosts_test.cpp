// game, libuv-host and asio-host: fibers within a loop of somebody else's.
#include "server.hpp"

#include "support/matrix.hpp"

#include <regex>

using namespace zsync::test;

TEST_CASE("game plays its frames, its agents arrive, and Ctrl-C ends it", "[game]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    const child_result played = run_program(
        sample_command("game", options, {"--agents", "200", "--seconds", "0.5", "--rest", "10ms"}));
    INFO(played.out << played.err);
    CHECK(played.exit_code == 0);
    std::smatch figures;
    REQUIRE(std::regex_match(
        played.out, figures,
        std::regex("([0-9]+) frames?, [0-9]+ over the budget of 16.7 ms: median [^\n]*\n"
                   "200 agents, ([0-9,]+) turns, ([0-9,]+) arrivals?, ([0-9,]+) greetings?\n")));
    CHECK(figures[1] != "0");
    CHECK(figures[2] != "0");
  });
  background_program endless({ZSYNC_RUN, "game", "--seconds", "1000", "--agents", "10", "--inspect"});
  std::this_thread::sleep_for(std::chrono::milliseconds{200});
  endless.send_signal(SIGINT);
  const child_result ended = endless.finish();
  CHECK(ended.exit_code == 0);
  CHECK_THAT(ended.out, Catch::Contains("10 agents, "));
}

namespace {

// Fifty clients at once, each of which says something a hundred times.
const char* const clients = R"(
import asyncio, sys
async def one(i):
    r, w = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    for k in range(100):
        said = b"%d says %d" % (i, k)
        w.write(said)
        assert await r.readexactly(len(said)) == said
    w.close()
    await w.wait_closed()
async def all(): await asyncio.gather(*[one(i) for i in range(50)])
asyncio.run(all())
print("all answered")
)";

void check_host(const std::string& name) {
  if (run_program({ZSYNC_RUN, name, "--help"}).exit_code == 2) {
    WARN("skipped: " << name << " was not built, for its library is not installed");
    return;
  }
  matrix({.workers = false}, [&](const zsync::runtime_options& options) {
    sample_server server(name, options);
    const child_result client = run_program({"python3", "-c", clients, server.port()});
    CHECK(client.err == "");
    CHECK(client.out == "all answered\n");
    CHECK(eventually([&] { return server.open_connections() <= 0; }));
    // One that stays is unwound at the end, which comes although nothing happens.
    background_program stays({"sh", "-c", "sleep 60 | socat - TCP:" + server.address()});
    CHECK(eventually([&] { return server.open_connections() >= 1; }));
    const child_result ended = server.stop();
    INFO(ended.out);
    CHECK(ended.exit_code == 0);
    CHECK_THAT(ended.out, Catch::Contains("5,000 requests, ") &&
                              Catch::Contains(" 51 connections, 0 errors, 1 open; the host counted "));
  });
  const sample_server taken("echo-server", {.workers = 1, .backend = zsync::io_backend::epoll});
  const child_result refused = run_program({ZSYNC_RUN, name, "--listen", taken.address()});
  CHECK(refused.exit_code == 1);
  CHECK_THAT(refused.err, Catch::Contains("zsync-run: " + name + ": "));
}

}  // namespace

TEST_CASE("libuv-host serves by fibers within libuv's loop", "[libuv-host]") { check_host("libuv-host"); }
TEST_CASE("asio-host serves by fibers within Asio's loop", "[asio-host]") { check_host("asio-host"); }
