// What is particular to io_uring: small rings, and kernels that refuse it.
#include "io/connections.hpp"
#include "io/refused_submissions.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;
using zsync::io_backend;
using zsync::test::connect_pair;
using zsync::test::refuse_submissions;
using zsync::test::small_rings;

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

std::chrono::microseconds processor_time() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds{used.ru_utime.tv_sec + used.ru_stime.tv_sec} +
         std::chrono::microseconds{used.ru_utime.tv_usec + used.ru_stime.tv_usec};
}

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

TEST_CASE("a million operations go through a ring of 8 entries, each once", "[uring][slow]") {
  if (!has_uring()) return;
  const small_rings small;
  static constexpr std::uint64_t wanted = zsync::test::sanitized ? 100'000 : 1'000'000;
  for (const unsigned workers : {1u, 4u}) {
    zsync::run(
        [] {
          constexpr std::uint64_t fibers = 100;
          // Half of them read from a file, which always goes through the ring; the others from connections
          // whose peer has yet to write.
          zsync::file bytes{zsync::unique_fd(zsync::test::nameless_file())};
          std::string content(65536, ' ');
          for (std::size_t i = 0; i < content.size(); ++i) content[i] = zsync::test::byte_at(i);
          bytes.write_all(content);
          std::vector<zsync::fiber<std::uint64_t>> all;
          for (std::uint64_t f = 0; f < fibers / 2; ++f) {
            all.push_back(zsync::spawn([&, f] {
              std::uint64_t right = 0;
              for (std::uint64_t i = 0; i < wanted / fibers; ++i) {
                const std::size_t at = (f * 7919 + i * 31) % content.size();
                char byte = 0;
                right += bytes.read_at(at, {&byte, 1}) == 1 && byte == content[at];
              }
              return right;
            }));
          }
          for (std::uint64_t f = 0; f < fibers / 2; ++f) {
            all.push_back(zsync::spawn([] {
              auto [a, b] = connect_pair();
              zsync::fiber other([&s = b] {
                std::uint64_t i = 0;
                for (char byte = 0; s.read({&byte, 1}) == 1; ++i) s.write({&byte, 1});
              });
              std::uint64_t right = 0;
              for (std::uint64_t i = 0; i < wanted / fibers / 2; ++i) {
                char byte = zsync::test::byte_at(i);
                a.write({&byte, 1});
                byte = 0;
                if (a.read({&byte, 1}) == 1 && byte == zsync::test::byte_at(i)) right += 2;
              }
              a.close();
              return right;
            }));
          }
          std::uint64_t sum = 0;
          for (auto& one : all) sum += one.join();
          REQUIRE(sum == wanted);
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

// What the closed descriptor's reader had asked for is still in the submission queue then, and must not reach
// whoever has the number next.
TEST_CASE("a read that the kernel has not seen yet ends with its descriptor", "[uring][close]") {
  if (!has_uring()) return;
  for (const bool refuses : {false, true}) {
    for (const bool cancels : {false, true}) {
      const auto result = zsync::test::run_in_child([&] {
        if (refuses) refuse_submissions();
        zsync::run(
            [&] {
              auto [a, b] = connect_pair();
              const int number = a.native_handle();
              std::array<char, 8> buffer{};
              std::error_code ec;
              zsync::fiber reader([&, &a = a] { a.read(buffer, ec); });
              zsync::this_fiber::yield();
              if (cancels) {
                reader.cancel();
                zsync::this_fiber::yield();
              }
              a.close();
              int ends[2];
              if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
                throw std::runtime_error("socketpair");
              if (::fcntl(number, F_GETFD) >= 0 && ends[1] != number) throw std::runtime_error("not closed");
              if (ends[1] == number) ends[1] = ::dup(number);
              ::dup2(ends[0], number);
              if (::write(ends[1], "theirs", 6) != 6) throw std::runtime_error("write");
              zsync::this_fiber::sleep_for(5ms);
              reader.join();
              std::cout << ec.message() << ", " << ::recv(ends[0], buffer.data(), 8, MSG_DONTWAIT)
                        << std::flush;
            },
            {.workers = 1, .backend = io_backend::io_uring});
      });
      INFO(result.err);
      REQUIRE(result.out == "closed, 6");
    }
  }
}

TEST_CASE("a kernel that takes no submissions costs no processor time", "[uring]") {
  if (!has_uring()) return;
  zsync::test::child_options busy;
  busy.forbidden_syscalls = {SYS_io_uring_enter};
  busy.forbidden_errno = EBUSY;
  const auto result = zsync::test::run_in_child(
      [] {
        zsync::run(
            [] {
              const auto before = processor_time();
              zsync::this_fiber::sleep_for(300ms);
              std::cout << (processor_time() - before < 100ms ? "idle" : "busy") << std::flush;
            },
            {.workers = 1, .backend = io_backend::io_uring});
      },
      busy);
  INFO(result.err);
  REQUIRE(result.out == "idle");
}
