#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/temporary.hpp"

#include <zsync/zsync.hpp>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using zsync::open_mode;
using zsync::test::matrix;
using zsync::test::temporary_directory;

namespace {

std::string pattern(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = zsync::test::byte_at(i);
  return text;
}

}  // namespace

TEST_CASE("a file is written, read, measured and cut", "[file]") {
  matrix([](const zsync::runtime_options& options) {
    const temporary_directory directory;
    zsync::run(
        [&] {
          auto f = zsync::file::open(directory / "f", open_mode::read | open_mode::write | open_mode::create);
          const std::string text = pattern(1'000'000);
          f.write_all(text);
          f.sync();
          f.sync(true);
          REQUIRE(f.stat().size == text.size());
          REQUIRE(f.read_all() == text);
          REQUIRE(f.read_all(999'990) == text.substr(999'990));
          std::array<char, 10> buffer{};
          REQUIRE(f.read_at(5, buffer) == 10);
          REQUIRE(std::string(buffer.data(), 10) == text.substr(5, 10));
          f.truncate(7);
          REQUIRE(f.read_all() == text.substr(0, 7));
          REQUIRE(f.read_at(7, buffer) == 0);
          std::error_code ec;
          REQUIRE(f.read_all(ec, 0, 5) == text.substr(0, 5));
          REQUIRE(ec == zsync::error::limit_exceeded);
          zsync::file::open(directory / "none", open_mode::read, ec);
          REQUIRE(ec == std::errc::no_such_file_or_directory);
          zsync::file::open(directory / "f", open_mode::write | open_mode::create | open_mode::exclusive, ec);
          REQUIRE(ec == std::errc::file_exists);
          f.close();
          f.read_at(0, buffer, ec);
          REQUIRE(ec == std::errc::bad_file_descriptor);
        },
        options);
  });
}

TEST_CASE("a file goes out over a connection without being copied", "[file][sendfile]") {
  matrix([](const zsync::runtime_options& options) {
    const temporary_directory directory;
    zsync::run(
        [&] {
          auto f = zsync::file::open(directory / "f", open_mode::read | open_mode::write | open_mode::create);
          const std::string text = pattern(5'000'000);
          f.write_all(text);
          auto [a, b] = zsync::test::connect_pair();
          zsync::fiber sender([&, &a = a] {
            const std::size_t n = a.sendfile(f, 100, 10'000'000);
            a.shutdown(zsync::shutdown_send);
            return n;
          });
          REQUIRE(b.read_all() == text.substr(100));
          REQUIRE(sender.join() == text.size() - 100);
        },
        options);
  });
}

TEST_CASE("a pipe carries bytes, ends, and breaks without a signal", "[pipe]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [reader, writer] = zsync::pipe();
          const std::string text = pattern(1'000'000);
          zsync::fiber sender([&, &w = writer] {
            w.write_all(text);
            w.close();
          });
          REQUIRE(reader.read_all() == text);
          sender.join();
          auto [in, out] = zsync::pipe();
          in.close();
          std::error_code ec;
          out.write("x", ec);
          REQUIRE(ec == std::errc::broken_pipe);
        },
        options);
  });
}

TEST_CASE("closing a pipe wakes its reader, and the full writer of another", "[pipe][close]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::runtime runtime(options);
    auto one = zsync::pipe();
    auto two = zsync::pipe();
    auto reading = runtime.spawn([&] {
      std::array<char, 8> buffer{};
      std::error_code ec;
      one.reader.read(buffer, ec);
      return ec;
    });
    auto writing = runtime.spawn([&] {
      std::error_code ec;
      two.writer.write_all(std::string(10'000'000, 'x'), ec);
      return ec;
    });
    std::this_thread::sleep_for(10ms);
    one.reader.close();
    two.writer.close();
    REQUIRE(reading.join() == zsync::error::closed);
    REQUIRE(writing.join() == zsync::error::closed);
    // And a plain thread's.
    auto three = zsync::pipe();
    std::error_code seen;
    std::thread reader([&] {
      std::array<char, 8> buffer{};
      three.reader.read(buffer, seen);
    });
    std::this_thread::sleep_for(10ms);
    three.reader.close();
    reader.join();
    REQUIRE(seen == zsync::error::closed);
  });
}

TEST_CASE("everything is copied from one stream to another", "[copy]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto source = zsync::test::connect_pair();
          auto sink = zsync::test::connect_pair();
          const std::string text = pattern(3'000'000);
          zsync::fiber sender([&] {
            source.client.write_all(text);
            source.client.close();
          });
          zsync::fiber proxy([&] {
            const auto n = zsync::copy(source.server, sink.client);
            sink.client.close();
            return n;
          });
          REQUIRE(sink.server.read_all() == text);
          REQUIRE(proxy.join() == text.size());
          sender.join();
          // Into a peer that is gone: an error, and no signal.
          auto broken = zsync::test::connect_pair();
          auto feed = zsync::test::connect_pair();
          broken.server = {};
          zsync::fiber feeder([&] {
            std::error_code ec;
            while (!ec) feed.client.write_all(text, ec);
          });
          std::error_code ec;
          zsync::copy(feed.server, broken.client, ec);
          REQUIRE((ec == std::errc::broken_pipe || ec == std::errc::connection_reset));
          feed.server.close();
          feed.client.close();
          feeder.join();
        },
        options);
  });
}

TEST_CASE("a child process runs with its streams as pipes", "[process]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          using zsync::child_stream;
          auto child = zsync::process::spawn({"sh", "-c", "cat; echo done >&2; pwd; exit 3"},
                                             {.in = child_stream::pipe,
                                              .out = child_stream::pipe,
                                              .err = child_stream::pipe,
                                              .directory = "/"});
          const std::string text(200'000, 'c');
          zsync::fiber feeding([&] {
            child.in().write_all(text);
            child.in().close();
          });
          REQUIRE(child.out().read_all() == text + "/\n");
          REQUIRE(child.err().read_all() == "done\n");
          const zsync::exit_status status = child.wait();
          REQUIRE(status.code == 3);
          REQUIRE(child.wait().code == 3);
          feeding.join();
          std::error_code ec;
          zsync::process::spawn({"no-such-program-here"}, {}, ec);
          REQUIRE(ec == std::errc::no_such_file_or_directory);
          auto sleeping = zsync::process::spawn({"sleep", "60"});
          {
            const zsync::deadline_scope scope(5ms);
            sleeping.wait(ec);
            REQUIRE(ec == std::errc::timed_out);
          }
          sleeping.kill(SIGTERM);
          REQUIRE(sleeping.wait().signal == SIGTERM);
          auto forgotten = zsync::process::spawn({"sleep", "60"});  // killed by its destructor
        },
        options);
  });
}

TEST_CASE("a child process has the three streams and no other descriptor", "[process]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          const int forgotten = ::fcntl(STDERR_FILENO, F_DUPFD, 50);  // not closed on exec
          auto child = zsync::process::spawn({"ls", "/proc/self/fd"}, {.out = zsync::child_stream::pipe});
          const std::string seen = child.out().read_all();
          ::close(forgotten);
          REQUIRE(seen == "0\n1\n2\n3\n");  // the last is how it reads the folder
          REQUIRE(child.wait().success());
        },
        options);
  });
}

TEST_CASE("the end of a child process that takes its time keeps no worker", "[process]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          // Its memory takes the kernel some milliseconds.
          const std::string program =
              "import time; b = b'x' * (1 << 27); print(len(b), flush=True); time.sleep(60)";
          auto child = zsync::process::spawn({"python3", "-c", program}, {.out = zsync::child_stream::pipe});
          REQUIRE(child.out().read_until('\n') == "134217728\n");
          bool stop = false;
          int turns = 0;
          const zsync::spawn_options here{.worker = 0};
          zsync::fiber other(here, [&] {
            while (!stop) {
              ++turns;
              zsync::this_fiber::yield();
            }
          });
          zsync::fiber ending(here, [&turns, c = std::move(child)]() mutable {
            const zsync::deadline_scope passed(0ms);  // a destructor has to wait all the same
            zsync::this_fiber::yield();
            const int before = turns;
            c = {};
            return turns - before;
          });
          const int meanwhile = ending.join();
          stop = true;
          REQUIRE(meanwhile > 0);
        },
        options);
  });
}

TEST_CASE("a buffered reader or writer that was moved from keeps nothing, and can be used again",
          "[buffered]") {
  matrix({.workers = false}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = zsync::test::connect_pair();
          zsync::buffered_writer out(a);
          out.write_all("kept");
          auto moved_out = std::move(out);
          REQUIRE(out.buffered() == 0);  // NOLINT(bugprone-use-after-move)
          out.flush();
          REQUIRE(moved_out.buffered() == 4);
          moved_out.write_all("line\nrest\n");
          moved_out.flush();
          zsync::buffered_reader in(b);
          std::string line;
          REQUIRE(in.read_line(line));
          auto moved_in = std::move(in);
          REQUIRE(in.buffered().empty());  // NOLINT(bugprone-use-after-move)
          REQUIRE(moved_in.read_line(line));
          REQUIRE(line == "rest");
          a.write_all("more\n");
          REQUIRE(in.read_line(line));
          REQUIRE(line == "more");

          zsync::buffered_reader first(std::move(b));
          zsync::buffered_reader<zsync::tcp_stream> second{zsync::tcp_stream()};
          second = std::move(first);
          REQUIRE(first.buffered().empty());  // NOLINT(bugprone-use-after-move)
          a.write_all("end\n");
          REQUIRE(second.read_line(line));
          REQUIRE(line == "end");
        },
        options);
  });
}

namespace {

// Takes seven bytes.
struct short_of_room {
  std::size_t write_all(zsync::const_buffer from, std::error_code& ec) const {
    if (from.size() > 7) ec = std::make_error_code(std::errc::no_space_on_device);
    return std::min<std::size_t>(from.size(), 7);
  }
};

}  // namespace

TEST_CASE("a copy that fails counts what was written of the last part", "[copy]") {
  zsync::run([] {
    auto [a, b] = zsync::test::connect_pair();
    a.write_all("ten bytes.");
    a.shutdown(zsync::shutdown_send);
    short_of_room to;
    std::error_code ec;
    REQUIRE(zsync::copy(b, to, ec) == 7);
    REQUIRE(ec == std::errc::no_space_on_device);
  });
}

TEST_CASE("buffered readers and writers give the same bytes in fewer calls", "[buffered]") {
  matrix([](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto [a, b] = zsync::test::connect_pair();
          zsync::fiber sender([&, &a = a] {
            zsync::buffered_writer out(a, 100);
            for (int i = 0; i < 1000; ++i) out.write_all("line " + std::to_string(i) + "\r\n");
            out.write_all(std::string(1000, 'x'));
            out.write_all("\n|tail");
            out.flush();
            a.shutdown(zsync::shutdown_send);
          });
          zsync::buffered_reader in(b, 64);
          std::string line;
          for (int i = 0; i < 1000; ++i) {
            REQUIRE(in.read_line(line));
            REQUIRE(line == "line " + std::to_string(i));
          }
          REQUIRE(in.read_line(line));
          REQUIRE(line == std::string(1000, 'x'));
          REQUIRE(in.read_until("|") == "|");
          REQUIRE(in.read_line(line));
          REQUIRE(line == "tail");
          REQUIRE(!in.read_line(line));
          sender.join();
        },
        options);
  });
}

TEST_CASE("the standard streams keep their mode", "[pipe]") {
  matrix([](const zsync::runtime_options& options) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const int saved = ::dup(0);
    ::dup2(ends[0], 0);
    zsync::run(
        [&] {
          auto in = zsync::standard_input();
          zsync::fiber writer([&] {
            zsync::this_fiber::sleep_for(2ms);
            REQUIRE(::write(ends[1], "typed", 5) == 5);
          });
          std::array<char, 16> buffer{};
          REQUIRE(in.read(buffer) == 5);
          REQUIRE((::fcntl(0, F_GETFL) & O_NONBLOCK) == 0);
          std::error_code ec;
          const zsync::deadline_scope scope(5ms);
          in.read(buffer, ec);
          REQUIRE(ec == std::errc::timed_out);
        },
        options);
    ::dup2(saved, 0);
    for (const int fd : {saved, ends[0], ends[1]}) ::close(fd);
  });
}
