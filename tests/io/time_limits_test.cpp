// How long calls may take, whatever disturbs them meanwhile.
#include "io/connections.hpp"
#include "support/in_fiber.hpp"

#include <zsync/io/socket.hpp>
#include <zsync/zsync.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

// A listener whose backlog is full, so that it answers nobody.
class silent_listener {
 public:
  explicit silent_listener(const zsync::socket_address& at)
      : fd_(::socket(at.native_family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(::bind(fd_, at.native(), at.native_size()) == 0);
    REQUIRE(::listen(fd_, 0) == 0);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&bound), &size) == 0);
    address = zsync::socket_address::from_native(reinterpret_cast<sockaddr*>(&bound), size);
    for (int i = 0; i < 4; ++i) {
      filling_.push_back(::socket(at.native_family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      static_cast<void>(::connect(filling_.back(), address.native(), address.native_size()));
    }
  }
  ~silent_listener() {
    for (const int fd : filling_) ::close(fd);
    ::close(fd_);
  }
  silent_listener(const silent_listener&) = delete;
  silent_listener& operator=(const silent_listener&) = delete;

  zsync::socket_address address;

 private:
  const int fd_;
  std::vector<int> filling_;
};

}  // namespace

// Bytes that somebody else takes away, once the reader has been woken for them, and before it has a turn. Its
// time began anew each time.
TEST_CASE("a read's time-out counts from its beginning, however often it is woken for nothing", "[tcp]") {
  test::matrix({.workers = false, .pinned_only = true}, [](const zsync::runtime_options& options) {
    zsync::runtime own(options);
    own.block_on([&own] {
      auto [a, b] = test::connect_pair();
      a.set_read_timeout(20ms);
      bool ended = false;
      const auto begin = zsync::clock::now();
      zsync::fiber reader([&, &a = a] {
        std::array<char, 8> buffer{};
        std::error_code ec;
        a.read(buffer, ec);
        ended = true;
        return ec;
      });
      this_fiber::sleep_for(1ms);
      while (!ended && zsync::clock::now() - begin < 3s) {
        b.write_all("x");
        // The worker looks at the kernel while this one stands first in its queue.
        for (const auto polls = own.stats().polls; own.stats().polls == polls;) this_fiber::yield();
        char byte = 0;
        if (::recv(a.native_handle(), &byte, 1, MSG_DONTWAIT) != 1) break;  // the kernel was quicker
        this_fiber::sleep_for(1ms);
      }
      const std::error_code ec = reader.join();
      const auto time = zsync::clock::now() - begin;
      if (ec) {
        CHECK(ec == std::errc::timed_out);
        CHECK(time >= 20ms);
        CHECK(time < 2s);
      } else {
        CHECK(own.stats().backend == zsync::io_backend::io_uring);  // which reads by itself
      }
    });
  });
}

TEST_CASE("a connect that nobody answers ends by the time-out of its socket", "[io]") {
  test::in_fiber({.workers = false}, [] {
    const auto times_out = [](const zsync::socket_address& at) {
      const silent_listener nobody(at);
      const zsync::deadline_scope enough(3s);
      std::error_code ec;
      const auto d = zsync::detail::make_socket(at.native_family(), SOCK_STREAM,
                                                zsync::detail::descriptor_kind::stream_socket, ec);
      d->write_timeout = std::chrono::nanoseconds(10ms).count();
      const auto begin = zsync::clock::now();
      zsync::detail::connect_socket(*d, nobody.address, ec);
      CHECK(ec == std::errc::timed_out);
      CHECK(ec != zsync::error::deadline_expired);
      CHECK(zsync::clock::now() - begin >= 10ms);
    };
    times_out(zsync::socket_address::parse("127.0.0.1:0"));
    times_out(zsync::socket_address::unix_socket("@zsync-test-silent-" + std::to_string(::getpid())));
  });
}

TEST_CASE("a stream that ends before the delimiter is an unexpected end, and what came is kept", "[io]") {
  test::in_fiber({.workers = false}, [] {
    const auto ends_early = [](auto& in, auto& out, bool buffered) {
      out.write_all("line\nrest");
      out.close();
      std::error_code ec;
      std::string rest;
      if (buffered) {
        zsync::buffered_reader reader(in);
        CHECK(reader.read_until('\n') == "line\n");
        rest = reader.read_until('\n', ec);
        CHECK(ec == zsync::error::unexpected_eof);
        CHECK(reader.read_until('\n', ec).empty());
      } else {
        CHECK(in.read_until("\n") == "line\n");
        rest = in.read_until("\n", ec);
        CHECK(ec == zsync::error::unexpected_eof);
        CHECK(in.read_until("\n", ec).empty());
      }
      CHECK(ec == zsync::error::unexpected_eof);
      CHECK(rest == "rest");
    };
    for (const bool buffered : {false, true}) {
      auto [a, b] = test::connect_pair();
      ends_early(a, b, buffered);
      auto [c, d] = zsync::unix_stream::pair();
      ends_early(c, d, buffered);
      auto [reader, writer] = zsync::pipe();
      ends_early(reader, writer, buffered);
    }
  });
}
