// What is particular to io_uring: small rings, and kernels that refuse it.
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;
using zsync::io_backend;
using zsync::test::connect_pair;

namespace {

bool has_uring() { return std::ranges::count(zsync::test::available_backends(), io_backend::io_uring) != 0; }

zsync::test::child_options refusing(int error) {
  zsync::test::child_options options;
  options.forbidden_syscalls = {SYS_io_uring_setup};
  options.forbidden_errno = error;
  return options;
}

void echo_once() {
  auto [a, b] = connect_pair();
  a.write_all("served");
  std::array<char, 6> buffer{};
  b.read_exact(buffer);
}

class small_rings {
 public:
  small_rings() { ::setenv("ZSYNC_URING_ENTRIES", "8", 1); }
  ~small_rings() { ::unsetenv("ZSYNC_URING_ENTRIES"); }
};

}  // namespace

TEST_CASE("where io_uring is forbidden, automatic says once that it uses epoll, and serves", "[uring]") {
  for (const int error : {EPERM, ENOSYS, ENOMEM}) {
    const auto result = zsync::test::run_in_child(
        [] {
          zsync::run([] { echo_once(); }, {.workers = 1});
          zsync::run([] { echo_once(); }, {.workers = 2});
        },
        refusing(error));
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    const std::string said = "using epoll";
    const auto first = result.err.find(said);
    REQUIRE(first != std::string::npos);
    REQUIRE(result.err.find(said, first + 1) == std::string::npos);
  }
}

TEST_CASE("io_uring asked for by name where it is forbidden is an error that says so", "[uring]") {
  const auto result = zsync::test::run_in_child(
      [] {
        try {
          zsync::run([] {}, {.workers = 1, .backend = io_backend::io_uring});
        } catch (const std::system_error& e) {
          std::cerr << e.code().value() << ' ' << e.what() << std::endl;
          return;
        }
        std::cerr << "no error" << std::endl;
      },
      refusing(EPERM));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  REQUIRE(result.err.starts_with("1 io_uring"));
}

TEST_CASE("more operations than a ring of 8 entries holds all complete", "[uring]") {
  if (!has_uring()) return;
  const small_rings small;
  for (const unsigned workers : {1u, 2u}) {
    zsync::run(
        [] {
          constexpr std::size_t connections = 100;
          constexpr int rounds = 100;  // 10,000 echoes, each of several operations
          std::vector<zsync::test::connection> all;
          for (std::size_t i = 0; i < connections; ++i) all.push_back(connect_pair());
          std::vector<zsync::fiber<void>> servers;
          std::vector<zsync::fiber<int>> clients;
          for (auto& c : all) {
            servers.push_back(zsync::spawn([&s = c.server] {
              std::array<char, 64> buffer{};
              while (const std::size_t n = s.read(buffer)) s.write_all({buffer.data(), n});
            }));
            clients.push_back(zsync::spawn([&s = c.client] {
              int good = 0;
              for (int i = 0; i < rounds; ++i) {
                std::string sent = std::to_string(i);
                s.write_all(sent);
                std::string back(sent.size(), ' ');
                s.read_exact(back);
                good += back == sent;
              }
              s.shutdown(zsync::shutdown_send);
              return good;
            }));
          }
          for (auto& client : clients) REQUIRE(client.join() == rounds);
          for (auto& server : servers) server.join();
        },
        {.workers = workers, .backend = io_backend::io_uring});
  }
}

TEST_CASE("more cancellations than a ring of 8 entries holds all take effect", "[uring][cancel]") {
  if (!has_uring()) return;
  const small_rings small;
  zsync::run(
      [] {
        std::vector<zsync::test::connection> all;
        for (int i = 0; i < 200; ++i) all.push_back(connect_pair());
        std::vector<zsync::fiber<bool>> readers;
        for (auto& c : all) {
          readers.push_back(zsync::spawn([&s = c.client] {
            std::array<char, 8> buffer{};
            std::error_code ec;
            s.read(buffer, ec);
            return ec == std::errc::operation_canceled;
          }));
        }
        zsync::this_fiber::sleep_for(5ms);
        for (auto& reader : readers) reader.cancel();
        for (auto& reader : readers) REQUIRE(reader.join());
      },
      {.workers = 1, .backend = io_backend::io_uring});
}
