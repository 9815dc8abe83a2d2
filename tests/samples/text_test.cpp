#include "common/text.hpp"
#include "common/suggest.hpp"

#include "support/catch.hpp"

#include <vector>

using namespace samples;
using namespace std::chrono_literals;

TEST_CASE("counts get their thousands apart and their noun its plural", "[text]") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1'000) == "1,000");
  CHECK(count_text(1'234'567) == "1,234,567");
  CHECK(count_text(1, "request") == "1 request");
  CHECK(count_text(0, "request") == "0 requests");
}

TEST_CASE("a rate is of what was counted between, and none of what went back", "[text]") {
  CHECK(rate_text(1'000, 5'000, 2.0) == "2,000/s");
  CHECK(rate_text(7, 7, 1.0) == "0/s");
  CHECK(rate_text(8, 7, 1.0) == "-");
}

TEST_CASE("durations and sizes are shown with three digits in a fitting unit", "[text]") {
  CHECK(duration_text(417ns) == "417 ns");
  CHECK(duration_text(4'170ns) == "4.17 µs");
  CHECK(duration_text(41'700'000ns) == "41.7 ms");
  CHECK(duration_text(417s) == "417 s");
  CHECK(bytes_text(512) == "512 B");
  CHECK(bytes_text(4147) == "4.05 KiB");
  CHECK(bytes_text(3.0 * 1024 * 1024 * 1024) == "3.00 GiB");
}

TEST_CASE("a misspelt word finds its neighbour, a foreign one none", "[text]") {
  const std::vector<std::string> known{"echo-server", "echo-client", "hello", "demo"};
  CHECK(closest("ehco-server", known) == "echo-server");
  CHECK(closest("echo-cilent", known) == "echo-client");
  CHECK(closest("helo", known) == "hello");
  CHECK(closest("echo-s", known) == "echo-server");
  CHECK(closest("frobnicate", known) == "");
}
