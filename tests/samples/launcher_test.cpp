// zsync-run itself: its list, its help, and what it says to wrong arguments.
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/io/backends.hpp>

#include <algorithm>
#include <string>
#include <vector>

using zsync::test::child_result;

namespace {

child_result zsync_run(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), ZSYNC_RUN);
  return zsync::test::run_program(arguments);
}

// One line on stderr that has `text` in it, nothing on stdout, and a status that says failure.
void check_refused(const std::vector<std::string>& arguments, const std::string& text) {
  const child_result result = zsync_run(arguments);
  INFO("zsync-run " << (arguments.empty() ? "" : arguments.back()));
  CHECK_THAT(result.err, Catch::Contains(text));
  CHECK_THAT(result.err, Catch::StartsWith("zsync-run: "));
  CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
  CHECK(result.out == "");
  CHECK(result.signal == 0);
  CHECK(result.exit_code > 0);
}

}  // namespace

TEST_CASE("help is --help, of the whole or of a sample, and --version names what it was built from",
          "[launcher]") {
  CHECK(zsync_run({"help"}).out == zsync_run({"--help"}).out);
  const child_result of_one = zsync_run({"help", "echo-server"});
  CHECK(of_one.exit_code == 0);
  CHECK(of_one.out == zsync_run({"echo-server", "--help"}).out);
  const child_result version = zsync_run({"--version"});
  CHECK(version.exit_code == 0);
  CHECK_THAT(version.out, Catch::StartsWith("zsync 0."));
  for (const char* part :
       {"\n  backends   ", "epoll", "\n  compiler   ", "\n  libraries  Boost.Context 1."}) {
    CHECK_THAT(version.out, Catch::Contains(part));
  }
}

TEST_CASE("what cannot be printed is a failure, and says so", "[launcher]") {
  const auto with = [](const std::string& arguments) {
    return zsync::test::run_program({"bash", "-c", std::string("exec ") + ZSYNC_RUN + ' ' + arguments});
  };
  for (const char* arguments :
       {"list >/dev/full", "--help >/dev/full", "hello >/dev/full", "hello >&-", "hello <&- >&-"}) {
    INFO(arguments);
    const child_result result = with(arguments);
    CHECK(result.err == "zsync-run: cannot write to standard output\n");
    CHECK(result.exit_code == 1);
  }
  // Nobody hears of it, but it ends.
  CHECK(with("hello <&- >&- 2>&-").exit_code == 1);
  CHECK(with("hello <&-").out == "received: ping\n");
}

TEST_CASE("list names each sample with a line", "[launcher]") {
  const child_result result = zsync_run({"list"});
  CHECK(result.exit_code == 0);
  for (const char* name : {"demo ", "hello ", "echo-server ", "echo-client "}) {
    CHECK_THAT(result.out, Catch::Contains(name));
  }
}

TEST_CASE("help is on stdout, for zsync-run and for a sample", "[launcher]") {
  const child_result whole = zsync_run({"--help"});
  CHECK(whole.exit_code == 0);
  CHECK_THAT(whole.out, Catch::Contains("echo-server"));
  const child_result sample = zsync_run({"echo-server", "--help"});
  CHECK(sample.exit_code == 0);
  for (const char* option :
       {"--listen", "--backend", "--workers", "--stack-size", "--scheduling", "--stats"}) {
    CHECK_THAT(sample.out, Catch::Contains(option));
  }
}

TEST_CASE("an unknown sample gets one line, with a suggestion if one is near", "[launcher]") {
  check_refused({"ehco-server"}, "did you mean 'echo-server'?");
  check_refused({"frobnicate"}, "zsync-run list");
  check_refused({}, "zsync-run list");
}

TEST_CASE("an unknown option gets a suggestion if one is near, before its value is misunderstood",
          "[launcher]") {
  check_refused({"demo", "--backnd", "epoll"},
                "demo: there is no option '--backnd'; did you mean '--backend'?");
  check_refused({"echo-client", "--conections=5", "localhost:1"}, "did you mean '--connections'?");
  check_refused({"echo-client", "--conections", "5", "localhost:1"}, "did you mean '--connections'?");
  check_refused({"echo-client", "-x5", "localhost:1"}, "there is no option '-x'");
}

TEST_CASE("only backends that are built in are offered", "[launcher]") {
  const std::string help = zsync_run({"demo", "--help"}).out;
  std::string offered = "automatic";
  for (const zsync::io_backend backend : zsync::built_backends()) {
    offered += ", " + std::string(zsync::to_string(backend));
    CHECK_THAT(zsync_run({"--version"}).out, Catch::Contains(std::string(zsync::to_string(backend))));
  }
  CHECK_THAT(help, Catch::Contains(": " + offered + "\n"));
  check_refused({"demo", "--backend", "select"}, "'select' is none of " + offered + ";");
}

TEST_CASE("what help shows as a default can be given as such", "[launcher]") {
  const child_result given = zsync_run({"port-scan", "localhost", "--first", "1", "--last", "1", "--timeout",
                                        "1.00 s", "--stack-size", "256 KiB"});
  CHECK(given.err.find("is not") == std::string::npos);
  CHECK(given.exit_code == 0);
}

TEST_CASE("kv-server's help names the commands that it understands", "[launcher][kv-server]") {
  const std::string help = zsync_run({"kv-server", "--help"}).out;
  for (const char* command : {" append ", " get ", " incrby ", " set\n"})
    CHECK_THAT(help, Catch::Contains(command));
}

TEST_CASE("wrong options get one line that says which and why", "[launcher]") {
  check_refused({"demo", "--workers", "0x"}, "--workers: '0x' is not a whole number");
  check_refused({"demo", "--workers", "-1"}, "--workers: '-1' is not a whole number");
  check_refused({"demo", "--workers", "99999999999999999999"}, "--workers");
  check_refused({"demo", "--workers"}, "--workers");
  check_refused({"demo", "--backend", "select"}, "--backend: 'select' is none of automatic, ");
  check_refused({"demo", "--scheduling", "fair"}, "--scheduling: 'fair' is none of pinned, work_stealing");
  check_refused({"demo", "--stack-size", "64Q"}, "--stack-size: '64Q' is not a size");
  check_refused({"demo", "--stack-size", "-1"}, "--stack-size: '-1' is not a size");
  check_refused({"demo", "--stack-size", "999999999999G"}, "--stack-size");
  check_refused({"demo", "--nonsense"}, "demo: there is no option '--nonsense'; see `zsync-run demo --help`");
  check_refused({"demo", "one", "two"}, "demo: there is no place for 'one'; see `zsync-run demo --help`");
  check_refused({"list", "one"}, "list: there is no place for 'one'");
  check_refused({"port-scan", "localhost", "--first", "9", "--last", "3"},
                "--first: 9 is above --last, which is 3");
  check_refused({"http-server", "--delay", "text"}, "--delay: 'text' is not a duration, such as ");
  check_refused({"demo", "--seconds", "-3"}, "--seconds: '-3' is not a duration");
  check_refused({"echo-client"}, "echo-client: no server given; see `zsync-run echo-client --help`");
  check_refused({"--workers", "2", "demo"}, "the name of a sample comes first");
  check_refused({"crawler", "http://localhost:8080/"}, "is not an address with a port");
  check_refused({"echo-client", "localhost"}, "'localhost' is not an address with a port");
  check_refused({"echo-server", "--listen", "300.1.2.3:80"}, "--listen: '300.1.2.3:80' is not an address");
  check_refused({"mirrors"}, "mirrors: no servers given; see");
  check_refused({"pipeline", "--count", "3", "--count", "4"}, "pipeline: --count may be given once; see");
  check_refused({"pipeline", "--count"}, "pipeline: --count needs a value; see");
  check_refused({"replica", "--backend", "epoll"}, "replica: there is no option '--backend'");
  for (const char* text : {"127.0.0.1:70000", ":99999", "99999", "[::1]:65536"}) {
    check_refused({"echo-server", "--listen", text},
                  "--listen: '" + std::string(text) + "' is not an address: a port is at most 65535");
  }
  for (const char* text : {"localhost:99999", "99999", "[::1]:65536", "localhost:0"}) {
    check_refused({"hello", text},
                  "'" + std::string(text) + "' is not an address: a port to connect to is from 1");
  }
  check_refused(
      {"echo-server", "--listen", "localhost:7000"},
      "'localhost:7000' is not an address: names are not looked up here, write it in figures, such as "
      "127.0.0.1:7000;");
  check_refused({"echo-server", "--listen", "localhost"},
                "'localhost' is not an address, such as 127.0.0.1:7000");
}
