#include "support/catch.hpp"

#include <zsync/io/socket_address.hpp>
#include <zsync/sched/error.hpp>

#include <iomanip>
#include <set>
#include <sstream>
#include <string>
#include <unordered_set>

using zsync::ip_address;
using zsync::socket_address;

TEST_CASE("an address that was parsed reads as it was written", "[address]") {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:0",
                           "[2001:db8::5]:443", "[fe80::1%7]:22", "unix:/run/x.sock", "unix:@abstract"}) {
    INFO(text);
    REQUIRE(socket_address::parse(text).to_string() == text);
  }
}

TEST_CASE("what is no address is refused, with nothing before or after it", "[address]") {
  for (const char* text : {"",
                           ":",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:+1",
                           "127.0.0.1: 80",
                           " 127.0.0.1:80",
                           "127.0.0.1:80 ",
                           "127.0.0.1:0x50",
                           "127.0.0:80",
                           "127.0.0.1.1:80",
                           "[127.0.0.1]:80",
                           "::1:80",
                           "[::1]",
                           "[::1]80",
                           "[::1:80",
                           "[::g]:80",
                           "localhost:80",
                           "unix:",
                           "[fe80::1%no-such-interface]:1"}) {
    INFO(text);
    std::error_code ec;
    const socket_address a = socket_address::parse(text, ec);
    REQUIRE(ec == zsync::error::bad_address);
    REQUIRE(a == socket_address());
    REQUIRE_THROWS_AS(socket_address::parse(text), std::system_error);
  }
  std::error_code ec;
  socket_address::parse("unix:/" + std::string(120, 'x'), ec);
  REQUIRE(ec == zsync::error::bad_address);
  socket_address::parse(std::string_view("127.0.0.1\0:80", 13), ec);
  REQUIRE(ec == zsync::error::bad_address);
}

TEST_CASE("addresses know their parts", "[address]") {
  const auto four = socket_address::parse("10.1.2.3:8080");
  REQUIRE(four.port() == 8080);
  REQUIRE(four.ip() == ip_address::v4({10, 1, 2, 3}));
  REQUIRE(four.kind() == socket_address::family::v4);
  REQUIRE(ip_address::parse("224.0.0.1").is_multicast());
  REQUIRE(ip_address::parse("ff02::1").is_multicast());
  REQUIRE(ip_address::parse("::1").is_loopback());
  REQUIRE(ip_address::parse("::").is_unspecified());
  REQUIRE(socket_address::unix_socket("/tmp/x").path() == "/tmp/x");
  REQUIRE(socket_address::parse("unix:@y").path() == std::string_view("\0y", 2));
  auto moved = four;
  moved.set_port(1);
  REQUIRE(moved.to_string() == "10.1.2.3:1");
}

TEST_CASE("addresses are ordered and hashed by value", "[address]") {
  const char* const ascending[] = {"1.2.3.4:1", "1.2.3.4:2", "1.2.3.5:1", "[::1]:1",
                                   "[::2]:1",   "unix:/a",   "unix:/b"};
  std::set<socket_address> ordered;
  std::unordered_set<socket_address> hashed;
  for (const char* text : ascending) {
    ordered.insert(socket_address::parse(text));
    hashed.insert(socket_address::parse(text));
    hashed.insert(socket_address::parse(text));
  }
  REQUIRE(hashed.size() == std::size(ascending));
  std::size_t i = 0;
  for (const auto& a : ordered) REQUIRE(a.to_string() == ascending[i++]);
}

TEST_CASE("addresses are written to streams as they read", "[address]") {
  std::ostringstream text;
  text << std::setw(14) << ip_address::parse("127.0.0.1") << '|' << std::left << std::setw(12)
       << socket_address::parse("[::1]:80") << '|' << socket_address::parse("unix:/a") << '|'
       << socket_address();
  REQUIRE(text.str() == "     127.0.0.1|[::1]:80    |unix:/a|");
#if defined(__cpp_lib_format)
  REQUIRE(std::format("{:>10}|{}", socket_address::parse("1.2.3.4:5"), ip_address::parse("::1")) ==
          " 1.2.3.4:5|::1");
#endif
}
