// http-server and file-serve, judged by curl and wrk.
#include "server.hpp"

#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace zsync::test;
namespace fs = std::filesystem;

namespace {

child_result curl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"curl", "--silent", "--show-error", "--max-time", "10"});
  return run_program(arguments);
}

std::string socat(const sample_server& server, const std::string& input) {
  child_options options;
  options.input = input;
  return run_program({"socat", "-t", "10", "-", "TCP:" + server.address()}, options).out;
}

std::size_t occurrences(const std::string& what, const std::string& in) {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = in.find(what, at)) != in.npos; at += what.size()) ++n;
  return n;
}

// A folder with a few files, deleted in the end.
class site {
 public:
  site() {
    fs::create_directories(root_ / "public" / "sub");
    write("secret", "secret");
    write("public/a b.txt", "spaced");
    write("public/empty", "");
    std::string large(3'000'000, ' ');
    for (std::size_t i = 0; i != large.size(); ++i) large[i] = static_cast<char>('a' + i * 7 / 5 % 26);
    write("public/sub/large.bin", large);
    fs::create_symlink(root_ / "secret", root_ / "public" / "way-out");
  }

  [[nodiscard]] fs::path root() const { return root_.path(); }
  [[nodiscard]] std::string folder() const { return (root_ / "public").string(); }

 private:
  void write(const std::string& name, const std::string& text) const { std::ofstream(root_ / name) << text; }
  zsync::test::temporary_directory root_;
};

}  // namespace

TEST_CASE("http-server answers curl, and keeps its connection", "[http-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    const std::string url = "http://" + server.address() + "/";
    const child_result twice = curl({"--verbose", url, url + "other?x=y"});
    CHECK(twice.out == "Hello from a fiber.\nHello from a fiber.\n");
    CHECK_THAT(twice.err, Catch::Contains("Re-using existing connection"));

    CHECK_THAT(curl({"--head", url}).out,
               Catch::StartsWith("HTTP/1.1 200 OK\r\n") && Catch::Contains("Content-Length: 20\r\n"));
    CHECK_THAT(curl({"--include", "--data", "some text", url}).out, Catch::StartsWith("HTTP/1.1 405 "));
    CHECK(curl({"--http1.0", url}).out == "Hello from a fiber.\n");
  });
}

TEST_CASE("http-server answers requests that were sent ahead, in order", "[http-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    std::string requests;
    for (int i = 0; i != 50; ++i) requests += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    requests += "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    requests += "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const std::string answers = socat(server, requests);
    CHECK(occurrences("HTTP/1.1 200 OK\r\n", answers) == 51);
    CHECK(occurrences("HTTP/1.1 405 ", answers) == 1);
    CHECK(occurrences("Connection: close", answers) == 1);
    CHECK_THAT(answers, Catch::EndsWith("Hello from a fiber.\n"));
  });
}

TEST_CASE("half a request does not hold back the answer to the one before", "[http-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    const std::string command =
        "(printf 'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\nGET / HT'; sleep 60) | socat -t 60 - TCP:";
    background_program client({"sh", "-c", command + server.address()});
    CHECK_THAT(client.wait_for("Hello from a fiber.\n"), Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
  });
}

TEST_CASE("http-server refuses what is no HTTP", "[http-server]") {
  zsync::runtime_options options;
  sample_server server("http-server", options);
  CHECK_THAT(socat(server, "hello there\r\n\r\n"), Catch::StartsWith("HTTP/1.1 400 Bad Request\r\n"));
  CHECK_THAT(socat(server, "GET / HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n"),
             Catch::StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

TEST_CASE("http-server stands wrk", "[http-server]") {
  matrix([](const zsync::runtime_options& options) {
    sample_server server("http-server", options);
    const child_result result =
        run_program({"wrk", "-t1", "-c100", "-d1s", "http://" + server.address() + "/"});
    CHECK(result.exit_code == 0);
    CHECK_THAT(result.out, Catch::Contains("Requests/sec:") && !Catch::Contains("Socket errors") &&
                               !Catch::Contains("Non-2xx"));
  });
}

TEST_CASE("file-serve sends files whole, and none from outside its folder", "[file-serve]") {
  const site files;
  matrix([&](const zsync::runtime_options& options) {
    sample_server server("file-serve", options, {files.folder()});
    const std::string url = "http://" + server.address() + "/";
    CHECK(curl({url + "a%20b.txt"}).out == "spaced");
    CHECK(curl({"--include", url + "empty"}).out.find("Content-Length: 0\r\n") != std::string::npos);
    for (const char* path : {"nothing", "sub", "", "way-out", "%2e%2e/secret", "sub/../../secret"}) {
      INFO(path);
      CHECK_THAT(curl({"--include", "--path-as-is", url + path}).out, Catch::StartsWith("HTTP/1.1 404 "));
    }
    const child_result same = run_program(
        {"sh", "-c", "curl --silent --max-time 10 " + url + "sub/large.bin | cmp - \"$0\" && echo same",
         (files.root() / "public/sub/large.bin").string()});
    CHECK(same.out == "same\n");
  });
}
