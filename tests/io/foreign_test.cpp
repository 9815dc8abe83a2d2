// Programs that are not ours at the other end: what they send, how they hang up, and what they expect.
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using zsync::child_stream;
using zsync::test::listen_anywhere;

namespace {

bool installed(const std::string& program) {
  if (std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0) return true;
  WARN(program + " is not installed");
  return false;
}

// In a fiber, for each backend and number of workers; half a minute at most.
template <class F>
void with_program(const std::string& program, F body) {
  if (!installed(program)) return;
  zsync::test::matrix([&](const zsync::runtime_options& options) {
    zsync::run([&] { zsync::timeout(30s, body); }, options);
  });
}

// Runs a program to its end; what it wrote.
std::string output_of(const std::vector<std::string>& arguments, const std::string& input = {}) {
  auto child = zsync::process::spawn(
      arguments, {.in = child_stream::pipe, .out = child_stream::pipe, .err = child_stream::pipe});
  zsync::fiber complaints([&] { return child.err().read_all(); });
  zsync::fiber feeding([&] {
    std::error_code ec;
    child.in().write_all(input, ec);
    child.in().close();
  });
  std::string text = child.out().read_all();
  feeding.join();
  const zsync::exit_status status = child.wait();
  INFO(arguments.front() << " ended with " << status.code << ", signal " << status.signal << ": "
                         << complaints.join());
  REQUIRE(status.success());
  return text;
}

// A program that listens on 127.0.0.1 at the port that replaces "PORT" in its arguments. Between our finding
// a free one and its taking it, it may become anybody's: then the program ends, and begins again on another.
class foreign_server {
 public:
  explicit foreign_server(std::vector<std::string> arguments, const zsync::process_options& how) {
    const std::vector<std::string> pattern = std::move(arguments);
    do {
      port_ = listen_anywhere().local_address().port();
      arguments = pattern;
      for (std::string& word : arguments) {
        if (const std::size_t at = word.find("PORT"); at != word.npos)
          word.replace(at, 4, std::to_string(port_));
      }
      program_ = zsync::process::spawn(arguments, how);
    } while (!starts());
  }

  [[nodiscard]] zsync::tcp_stream connect() const { return zsync::tcp_stream::connect("127.0.0.1", port_); }
  [[nodiscard]] zsync::process& program() { return program_; }

 private:
  // False: it has ended instead.
  bool starts() {
    for (;;) {
      if (listens()) return true;
      siginfo_t end{};
      REQUIRE(::waitid(P_PID, static_cast<id_t>(program_.pid()), &end, WEXITED | WNOHANG | WNOWAIT) == 0);
      if (end.si_pid != 0) return false;
      zsync::this_fiber::sleep_for(5ms);
    }
  }

  // Asked of the kernel, because some serve one connection only, and who answers may be somebody else.
  [[nodiscard]] bool listens() const {
    std::ifstream table("/proc/net/tcp");
    std::ostringstream wanted;
    wanted << "0100007F:" << std::hex << std::uppercase << std::setw(4) << std::setfill('0') << port_;
    const std::string listening = "0A";
    for (std::string line; std::getline(table, line);) {
      std::istringstream fields(line);
      std::string number, local, peer, state, queues, timer, retransmits, user, timeout, inode;
      fields >> number >> local >> peer >> state >> queues >> timer >> retransmits >> user >> timeout >>
          inode;
      if (local == wanted.str() && state == listening && holds("socket:[" + inode + "]")) return true;
    }
    return false;
  }

  [[nodiscard]] bool holds(const std::string& what) const {
    std::error_code ended;
    const std::filesystem::path descriptors = "/proc/" + std::to_string(program_.pid()) + "/fd";
    for (const auto& each : std::filesystem::directory_iterator(descriptors, ended)) {
      if (std::filesystem::read_symlink(each, ended) == what) return true;
    }
    return false;
  }

  std::uint16_t port_ = 0;
  zsync::process program_;
};

// At one port, over TCP and UDP: one that is free for the one may be taken for the other.
std::pair<zsync::tcp_listener, zsync::udp_socket> listen_twice() {
  for (;;) {
    auto listener = listen_anywhere();
    std::error_code ec;
    auto udp = zsync::udp_socket::bind(listener.local_address(), {}, ec);
    if (!ec) return {std::move(listener), std::move(udp)};
    if (ec != std::errc::address_in_use) throw std::system_error(ec);
  }
}

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = zsync::test::byte_at(i);
  return text;
}

// Serves each connection with f(stream) in a fiber of its own, until it goes out of scope.
template <class Listener, class F>
class service {
 public:
  service(Listener listener, F f)
      : listener_(std::move(listener)), serve_(std::move(f)), fiber_([this] { run(); }) {}
  ~service() {
    listener_.close();
    fiber_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return listener_.local_address().port(); }
  [[nodiscard]] std::string port_text() const { return std::to_string(port()); }

 private:
  void run() {
    zsync::task_group connections;
    std::error_code ec;
    while (auto stream = listener_.accept(ec)) {
      connections.spawn([this, s = std::move(stream)]() mutable { serve_(s); });
    }
    connections.cancel();
    connections.wait();
  }

  Listener listener_;
  F serve_;
  zsync::fiber<> fiber_;
};

// All bytes both ways, and the ends of both.
void forward(zsync::tcp_stream& from, const foreign_server& server) {
  auto to = server.connect();
  std::error_code ignored;
  zsync::fiber back([&] {
    std::error_code ec;
    zsync::copy(to, from, ec);
    from.shutdown(zsync::shutdown_send, ec);
  });
  zsync::copy(from, to, ignored);
  to.shutdown(zsync::shutdown_send, ignored);
  back.join();
}

const auto echo = [](auto& stream) {
  std::error_code ec;
  stream.write_all(stream.read_all(ec), ec);
};

// An answer to the question `query`: its name has the address 192.0.2.7.
std::string dns_answer(std::string_view query) {
  std::size_t end = 12;
  while (query[end] != 0) end += static_cast<std::size_t>(query[end]) + 1;
  std::string reply(query.substr(0, end + 5));
  reply[2] = '\x85';
  reply[3] = '\x80';
  reply[7] = 1;
  reply[9] = reply[11] = 0;
  return reply + std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\7", 16);
}

}  // namespace

TEST_CASE("curl uploads and downloads", "[foreign]") {
  with_program("curl", [] {
    const service server(listen_anywhere(), [](zsync::tcp_stream& stream) {
      zsync::buffered_reader in(stream);
      std::error_code ec;
      for (;;) {
        const std::string head = in.read_until("\r\n\r\n", ec, 16384);
        if (ec) return;
        if (head.find("Expect: 100") != head.npos) stream.write_all("HTTP/1.1 100 Continue\r\n\r\n", ec);
        const std::size_t at = head.find("Content-Length: ");
        std::string body(at != head.npos ? std::stoul(head.substr(at + 16)) : 0, ' ');
        in.read_exact(body, ec);
        if (body.empty()) body = pattern(3'000'000);
        stream.write_all(
            "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body, ec);
      }
    });
    const std::string url = "http://127.0.0.1:" + server.port_text() + "/";
    REQUIRE(output_of({"curl", "-sS", url}) == pattern(3'000'000));
    REQUIRE(output_of({"curl", "-sS", "--data-binary", "@-", url}, pattern(2'000'000)) == pattern(2'000'000));
    // Two requests over one connection.
    REQUIRE(output_of({"curl", "-sS", "-o", "/dev/null", "-w", "%{num_connects} ", url, "-o", "/dev/null",
                       url}) == "1 0 ");
  });
}

TEST_CASE("socat speaks over TCP, unix and UDP sockets", "[foreign]") {
  with_program("socat", [] {
    const service tcp(listen_anywhere(), echo);
    const std::string text = pattern(1'000'000);
    REQUIRE(output_of({"socat", "-t5", "-", "TCP:127.0.0.1:" + tcp.port_text()}, text) == text);
    const zsync::test::temporary_directory folder;
    const service local(zsync::unix_listener::bind((folder / "socket").string()), echo);
    REQUIRE(output_of({"socat", "-t5", "-", "UNIX-CONNECT:" + (folder / "socket").string()}, text) == text);
    auto udp = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
    zsync::fiber answering([&] {
      std::array<char, 100> buffer{};
      zsync::socket_address from;
      const std::size_t n = udp.recv_from(buffer, from);
      udp.send_to({buffer.data(), n}, from);
      udp.send_to({buffer.data(), 0}, from);  // so that it knows that no more will come
    });
    const std::string to = "UDP:127.0.0.1:" + std::to_string(udp.local_address().port()) + ",null-eof";
    REQUIRE(output_of({"socat", "-t20", "-", to}, "a datagram") == "a datagram");
    answering.join();
  });
}

TEST_CASE("ncat connects to us, and we to it", "[foreign]") {
  with_program("ncat", [] {
    const std::string text = pattern(1'000'000);
    const service server(listen_anywhere(), echo);
    REQUIRE(output_of({"ncat", "127.0.0.1", server.port_text()}, text) == text);
    foreign_server listening({"ncat", "-l", "127.0.0.1", "PORT", "--recv-only"}, {.out = child_stream::pipe});
    auto stream = listening.connect();
    zsync::fiber writing([&] {
      stream.write_all(text);
      stream.shutdown(zsync::shutdown_send);
    });
    REQUIRE(listening.program().out().read_all() == text);
    writing.join();
    REQUIRE(listening.program().wait().success());
  });
}

TEST_CASE("openssl's client and server agree through a proxy of ours", "[foreign]") {
  with_program("openssl", [] {
    const zsync::test::temporary_directory folder;
    std::ofstream(folder / "page.txt") << pattern(500'000);
    output_of({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-batch", "-subj", "/CN=localhost", "-keyout", (folder / "key").string(), "-out",
               (folder / "certificate").string()});
    const foreign_server server(
        {"openssl", "s_server", "-accept", "127.0.0.1:PORT", "-key", (folder / "key").string(), "-cert",
         (folder / "certificate").string(), "-WWW", "-quiet"},
        {.in = child_stream::null,
         .out = child_stream::null,
         .err = child_stream::null,
         .directory = folder.path().string()});
    const service proxy(listen_anywhere(), [&](zsync::tcp_stream& stream) { forward(stream, server); });
    const std::string answer =
        output_of({"openssl", "s_client", "-connect", "127.0.0.1:" + proxy.port_text(), "-CAfile",
                   (folder / "certificate").string(), "-verify_return_error", "-quiet", "-ign_eof"},
                  "GET /page.txt HTTP/1.0\r\n\r\n");
    REQUIRE(answer.ends_with(pattern(500'000)));
  });
}

TEST_CASE("dig asks a name server of ours, over UDP and TCP", "[foreign]") {
  with_program("dig", [] {
    auto [listener, udp] = listen_twice();
    const service server(std::move(listener), [](zsync::tcp_stream& stream) {
      std::array<unsigned char, 2> length{};
      stream.read_exact({length.data(), 2});
      std::string query(length[0] * 256u + length[1], ' ');
      stream.read_exact(query);
      const std::string reply = dns_answer(query);
      stream.write_all(std::string{static_cast<char>(reply.size() >> 8), static_cast<char>(reply.size())} +
                       reply);
    });
    zsync::fiber answering([&udp = udp] {
      std::array<char, 512> buffer{};
      zsync::socket_address from;
      const std::size_t n = udp.recv_from(buffer, from);
      udp.send_to(dns_answer({buffer.data(), n}), from);
    });
    const std::vector<std::string> question{"dig",    "@127.0.0.1",   "-p", server.port_text(),
                                            "+short", "known.example"};
    REQUIRE(output_of(question) == "192.0.2.7\n");
    answering.join();
    auto by_tcp = question;
    by_tcp.emplace_back("+tcp");
    REQUIRE(output_of(by_tcp) == "192.0.2.7\n");
  });
}

TEST_CASE("we fetch from python's server", "[foreign]") {
  with_program("python3", [] {
    const zsync::test::temporary_directory folder;
    std::ofstream(folder / "page") << pattern(700'000);
    const foreign_server server(
        {"python3", "-m", "http.server", "PORT", "--bind", "127.0.0.1"},
        {.out = child_stream::null, .err = child_stream::null, .directory = folder.path().string()});
    std::vector<zsync::fiber<bool>> clients;
    for (int i = 0; i < 5; ++i) {
      clients.push_back(zsync::spawn([&] {
        auto stream = server.connect();
        stream.write_all("GET /page HTTP/1.0\r\n\r\n");
        return stream.read_all().ends_with(pattern(700'000));
      }));
    }
    for (auto& one : clients) REQUIRE(one.join());
  });
}

TEST_CASE("iperf3 measures through a proxy of ours, both ways at once", "[foreign][slow]") {
  with_program("iperf3", [] {
    const foreign_server server({"iperf3", "-s", "-B", "127.0.0.1", "-p", "PORT"},
                                {.out = child_stream::null, .err = child_stream::null});
    const service proxy(listen_anywhere(), [&](zsync::tcp_stream& stream) { forward(stream, server); });
    const std::string report = output_of(
        {"iperf3", "-c", "127.0.0.1", "-p", proxy.port_text(), "-t", "1", "-P", "2", "--bidir", "--json"});
    REQUIRE(report.find("\"sum_received\"") != report.npos);
    REQUIRE(report.find("\"sum_received_bidir_reverse\"") != report.npos);
    REQUIRE(report.find("\"error\"") == report.npos);
  });
}
