// kv-server, judged by Redis's own clients.
#include "server.hpp"

#include "common/resp.hpp"
#include "support/matrix.hpp"

#include <cstring>
#include <string>

using namespace zsync::test;

namespace {

std::string redis_cli(const sample_server& server, const std::string& commands) {
  child_options options;
  options.input = commands;
  return run_program({"redis-cli", "-h", "127.0.0.1", "-p", server.port()}, options).out;
}

// The commands in `text` that come out if it arrives `step` bytes at a time.
std::vector<std::string> parse(const std::string& text, std::size_t step) {
  samples::resp_parser parser;
  std::vector<std::string> commands;
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size(); at += step) {
    const std::size_t n = std::min(step, text.size() - at);
    std::memcpy(parser.prepare(step), text.data() + at, n);
    parser.commit(n);
    while (parser.next(words)) {
      std::string all;
      for (const auto word : words) all.append("[").append(word).append("]");
      commands.push_back(all);
    }
  }
  return commands;
}

}  // namespace

TEST_CASE("RESP commands come out the same however the bytes are cut", "[resp]") {
  const std::string text =
      "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\nPING\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\nset  a   "
      "b\n\r\n*0\r\n";
  const std::vector<std::string> expected{"[SET][k][a\r\nbc]", "[PING]", "[GET][]", "[set][a][b]", "", ""};
  for (std::size_t step = 1; step <= text.size(); ++step) CHECK(parse(text, step) == expected);
}

TEST_CASE("what is no RESP is refused", "[resp]") {
  for (const char* bad :
       {"*x\r\n", "*-1\r\n", "*1\r\n+OK\r\n", "*1\r\n$99999999999999999999\r\n", "*1\r\n$1x\r\n"}) {
    CHECK_THROWS_AS(parse(bad, 100), samples::protocol_error);
  }
  CHECK_THROWS_AS(parse(std::string(100'000, 'a'), 1000), samples::protocol_error);
}

TEST_CASE("kv-server answers redis-cli as Redis would", "[kv-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("kv-server", options);
    const std::string answers = redis_cli(server,
                                          "PING\n"
                                          "SET name \"a fiber\"\n"
                                          "GET name\n"
                                          "GET nothing\n"
                                          "INCR n\n"
                                          "INCRBY n 41\n"
                                          "DECR n\n"
                                          "INCR name\n"
                                          "APPEND name s\n"
                                          "MSET a 1 b 2\n"
                                          "MGET a b c\n"
                                          "EXISTS a b c\n"
                                          "DEL a b c\n"
                                          "DBSIZE\n"
                                          "GET\n"
                                          "NONSENSE\n"
                                          "FLUSHALL\n"
                                          "DBSIZE\n");
    CHECK(answers ==
          "PONG\nOK\na fiber\n\n1\n42\n41\nERR value is not an integer or out of "
          "range\n\n8\nOK\n1\n2\n\n2\n2\n2\n"
          "ERR wrong number of arguments for 'get' command\n\nERR unknown command 'nonsense'\n\nOK\n0\n");
  });
}

TEST_CASE("kv-server stands redis-benchmark, with and without pipelining", "[kv-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("kv-server", options);
    for (const char* pipeline : {"1", "16"}) {
      const child_result result =
          run_program({"redis-benchmark", "-h", "127.0.0.1", "-p", server.port(), "-n", "5000", "-c", "50",
                       "-P", pipeline, "-r", "1000", "-q", "-t", "ping,set,get,incr,mset"});
      CHECK(result.exit_code == 0);
      CHECK(result.err == "");
      for (const char* test :
           {"PING_INLINE: ", "PING_MBULK: ", "SET: ", "GET: ", "INCR: ", "MSET (10 keys): "}) {
        CHECK_THAT(result.out, Catch::Contains(test) && Catch::Contains("requests per second"));
      }
    }
    CHECK_THAT(server.stop_when_idle().out, Catch::Contains(" 0 errors, 0 open"));
  });
}

TEST_CASE("kv-server tells a client that speaks something else, and hangs up", "[kv-server]") {
  zsync::runtime_options options;
  sample_server server("kv-server", options);
  child_options input;
  input.input = "*1\r\n:1\r\n";
  const child_result result = run_program({"socat", "-t", "10", "-", "TCP:" + server.address()}, input);
  CHECK(result.out == "-ERR Protocol error: expected '$'\r\n");
}

TEST_CASE("kv-server counts right when many clients increase one number", "[kv-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("kv-server", options);
    run_program({"redis-benchmark", "-h", "127.0.0.1", "-p", server.port(), "-n", "20000", "-c", "50", "-P",
                 "8", "-q", "INCR", "counter"});
    CHECK(redis_cli(server, "GET counter\n") == "20000\n");
  });
}
