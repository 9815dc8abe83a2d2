// chat, port-scan, udp-echo, pipeline, dns-lookup and crawler.
#include "server.hpp"

#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace zsync::test;

TEST_CASE("chat lets everybody else hear what one says", "[chat]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("chat", options);
    const std::string tcp = "TCP:" + server.address();
    background_program ann({"sh", "-c", "(echo ann; sleep 60) | socat -t 60 - " + tcp});
    ann.wait_for("Hello, ann.\n");
    background_program bob({"sh", "-c", "(echo bob; sleep 60) | socat -t 60 - " + tcp});
    bob.wait_for("Hello, bob.\n");
    ann.wait_for("* bob is here\n");

    const child_result cat =
        run_program({"sh", "-c", "printf 'cat\\r\\nmiaow\\r\\n' | socat -t 10 - " + tcp});
    CHECK(cat.out == "Your name? Hello, cat.\n");
    const std::string cat_said = "* cat is here\ncat: miaow\n* cat has left\n";
    CHECK_THAT(ann.wait_for("* cat has left\n"), Catch::Contains(cat_said));
    CHECK_THAT(bob.wait_for("* cat has left\n"), Catch::Contains(cat_said));

    const child_result other_ann = run_program({"sh", "-c", "echo ann | socat -t 10 - " + tcp});
    CHECK_THAT(other_ann.out, Catch::EndsWith("That name is taken.\n"));
    CHECK(eventually([&] { return server.open_connections() == 2; }));
    CHECK_THAT(server.stop().out, Catch::Contains("4 connections, 0 errors, 2 open"));
  });
}

TEST_CASE("udp-echo sends datagrams back", "[udp-echo]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("udp-echo", options);
    const char* const script = R"(
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("127.0.0.1", int(sys.argv[1])))
for size in (0, 1, 1400, 60000):
    s.send(b"x" * size)
    assert s.recv(65536) == b"x" * size, size
print("all echoed")
)";
    const child_result client = run_program({"python3", "-c", script, server.port()});
    CHECK(client.err == "");
    CHECK(client.out == "all echoed\n");
    CHECK_THAT(server.stop_when_idle().out, Catch::EndsWith("4 datagrams, 0 errors\n"));
  });
}

TEST_CASE("pipeline finds the primes", "[pipeline]") {
  matrix([](const zsync::runtime_options& options) {
    for (const char* capacity : {"0", "1", "128"}) {
      const child_result result =
          run_program(sample_command("pipeline", options, {"--count", "10", "--capacity", capacity}));
      CHECK(result.exit_code == 0);
      CHECK(result.out == "2\n3\n5\n7\n11\n13\n17\n19\n23\n29\n");
    }
    const child_result many = run_program(sample_command("pipeline", options, {"--count", "500"}));
    CHECK_THAT(many.out, Catch::EndsWith("\n3571\n"));
  });
}

TEST_CASE("port-scan finds the port that is open", "[port-scan]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("echo-server", options);
    const int port = std::stoi(server.port());
    const child_result result =
        run_program(sample_command("port-scan", options,
                                   {"localhost", "--first", std::to_string(port - 200), "--last",
                                    std::to_string(std::min(port + 200, 65535))}));
    CHECK(result.exit_code == 0);
    CHECK_THAT("\n" + result.out, Catch::Contains("\n" + server.port() + "\n"));
    CHECK_THAT(result.err, Catch::Contains(" ports tried in "));
  });
}

TEST_CASE("dns-lookup answers in the order of the questions", "[dns-lookup]") {
  matrix([](const zsync::runtime_options& options) {
    const child_result named = run_program(
        sample_command("dns-lookup", options, {"127.0.0.2", "localhost", "nobody.invalid", "::1"}));
    CHECK(named.exit_code == 1);
    CHECK_THAT(named.out, Catch::StartsWith("127.0.0.2  127.0.0.2\nlocalhost  ") &&
                              Catch::Contains("nobody.invalid  ? ") && Catch::EndsWith("::1  ::1\n"));

    child_options input;
    for (int i = 1; i <= 100; ++i) input.input += "127.0.1." + std::to_string(i) + '\n';
    const child_result listed = run_program(sample_command("dns-lookup", options), input);
    CHECK(listed.exit_code == 0);
    CHECK_THAT(listed.out,
               Catch::StartsWith("127.0.1.1  127.0.1.1\n") && Catch::EndsWith("127.0.1.100  127.0.1.100\n"));
  });
}

TEST_CASE("dns-lookup says on a terminal that it waits for names, and Ctrl-C ends that", "[dns-lookup]") {
  const char* const script = R"(
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
said = b""
while b"Ctrl-D" not in said: said += os.read(terminal, 1000)
os.write(terminal, b"\x03")
print(os.waitpid(pid, 0)[1])
)";
  const child_result result = run_program({"python3", "-c", script, ZSYNC_RUN, "dns-lookup"});
  CHECK(result.err == "");
  CHECK(result.out == "0\n");
}

TEST_CASE("a server that listens on a unix socket leaves no file behind", "[echo-server]") {
  const temporary_directory folder;
  const std::string path = (folder / "socket").string();
  background_program server({ZSYNC_RUN, "echo-server", "--listen", "unix:" + path});
  server.wait_for("listening on unix:" + path);
  CHECK(run_program({"sh", "-c", "printf ping | socat -t 10 - UNIX-CONNECT:" + path}).out == "ping");
  const child_result second = run_program({ZSYNC_RUN, "echo-server", "--listen", "unix:" + path});
  CHECK(second.exit_code == 1);
  CHECK_THAT(second.err, Catch::Contains("bind unix:" + path + ": Address already in use"));
  CHECK(std::filesystem::exists(path));  // it is the first one's
  server.send_signal(SIGINT);
  CHECK(server.finish().exit_code == 0);
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("dns-lookup asks for many names at the same time", "[dns-lookup]") {
  background_program slow_server({"python3", "-u", TEST_SOURCES "/slow_dns.py", "0.3"});
  const std::string said = slow_server.wait_for("\n");
  child_options names;
  for (int i = 1; i <= 200; ++i) names.input += "host" + std::to_string(i) + ".test\n";
  matrix([&](const zsync::runtime_options& options) {
    const auto started = std::chrono::steady_clock::now();
    const child_result result = run_program(
        sample_command("dns-lookup", options, {"--server", said.substr(0, said.find('\n'))}), names);
    CHECK_THAT(result.out,
               Catch::StartsWith("host1.test  10.0.0.1\n") && Catch::EndsWith("host200.test  10.0.0.200\n"));
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds{5});  // one by one: a minute
  });
}

TEST_CASE("mirrors compares what several servers answer", "[mirrors]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server one("http-server", options, {"--text", "the same"});
    sample_server other("http-server", options, {"--text", "the same", "--delay", "50ms"});
    const child_result same =
        run_program(sample_command("mirrors", options, {other.address(), one.address(), "--timeout", "60s"}));
    CHECK(same.err == "");
    CHECK(same.exit_code == 0);
    CHECK_THAT(same.out, Catch::StartsWith("first: 127.0.0.1:") &&
                             Catch::Contains("\n" + other.address() + "  200, 9 bytes, after ") &&
                             Catch::Contains("\n" + one.address() + "  200, 9 bytes, after ") &&
                             Catch::EndsWith("\nall the same\nchecksum: 2817100120\n"));
    CHECK(same.out.find(other.address() + "  200") < same.out.find(one.address() + "  200"));

    sample_server third("http-server", options, {"--text", "something else"});
    const child_result differ = run_program(sample_command(
        "mirrors", options, {one.address(), third.address(), "127.0.0.1:1", "--timeout", "60s"}));
    CHECK(differ.exit_code == 0);
    const child_result nobody =
        run_program(sample_command("mirrors", options, {"127.0.0.1:1", "--timeout", "10ms"}));
    CHECK_THAT(nobody.out, Catch::StartsWith("first: none answered\n"));
    CHECK_THAT(differ.out, Catch::Contains("\n127.0.0.1:1  ") && Catch::Contains("refused") &&
                               Catch::Contains("\nthey differ\nchecksum: "));
  });
}

TEST_CASE("crawler finds the dead links of a site of Python's server", "[crawler]") {
  namespace fs = std::filesystem;
  const zsync::test::temporary_directory folder;
  const fs::path& root = folder.path();
  fs::create_directory(root / "deep");
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(root / name) << text; };
  std::string index =
      "<a href=\"missing.html\">dead</a> <a href='deep/a.html#part'>a</a> <a href=\"mailto:x@y\">m</a>";
  for (int i = 0; i != 50; ++i) {
    const std::string name = "page" + std::to_string(i) + ".html";
    index += "<a href=\"" + name + "\">" + name + "</a>";
    write(name.c_str(), "<a href='/index.html'>back</a> <a href='http://elsewhere.invalid/'>out</a>");
  }
  write("index.html", index);
  write("deep/a.html", "<a href=\"../page1.html\">p</a> <a href=\"./b.html\">b</a>");
  write("deep/b.html", "<a href=\"gone.html\">dead as well</a>");
  background_program site(
      {"python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", root.string(), "0"});
  const std::string said = site.wait_for("port ");
  const std::string port = std::to_string(std::stoi(site.wait_for(" (http").substr(said.find("port ") + 5)));

  matrix([&](const zsync::runtime_options& options) {
    const child_result result = run_program(
        sample_command("crawler", options, {"127.0.0.1:" + port, "/index.html", "--concurrency", "8"}));
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.out,
               Catch::StartsWith("/deep/gone.html  404\n/missing.html  404\n55 pages, 2 dead links, in "));
  });

  SECTION("a page that takes too long is reported, and all of it ends in time") {
    zsync::runtime_options options;
    sample_server slow("http-server", options, {"--delay", "60"});
    const child_result result =
        run_program(sample_command("crawler", options, {slow.address(), "--page-timeout", "200ms"}));
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.out, Catch::StartsWith("/  ") && Catch::Contains("1 page, 1 dead link"));
    const child_result cut =
        run_program(sample_command("crawler", options, {slow.address(), "--timeout", "200ms"}));
    CHECK(cut.exit_code == 0);
    CHECK_THAT(cut.out, Catch::Contains("out of time"));
  }
}
