// A line for each word of a command line: what is taken lies within what was allowed.
#include "fuzz/input.hpp"

#include "common/arguments.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <algorithm>
#include <string>
#include <vector>

using zsync::fuzz::expect;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> words(1);
  for (const char c : zsync::fuzz::text(data, size)) {
    if (c == '\n') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  CLI::App command("fuzzed");
  bool flag = false;
  std::uint64_t count = 5;
  std::uint64_t bytes = 4096;
  std::chrono::nanoseconds period{1'000'000'000};
  std::chrono::nanoseconds pause{0};
  zsync::socket_address listen = zsync::socket_address::parse("127.0.0.1:7000");
  samples::endpoint server{"localhost", 80};
  samples::add_flag(command, "--flag", flag, "a flag");
  samples::add_count(command, "--count", count, 1, 1000, "a number");
  samples::add_size(command, "--size", bytes, 1024, std::uint64_t{1} << 40, "bytes");
  samples::add_duration(command, "--period", period, "a time");
  samples::add_duration(command, "--pause", pause, "a time, or none");
  samples::add_address(command, "--listen", listen, "an address");
  samples::add_endpoint(command, "server", server, "whom to ask");
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    command.parse(words);
  } catch (const CLI::Error& e) {
    expect(e.get_exit_code() != 0 || e.get_name() == "CallForHelp", "a refusal ends with success");
  }
  expect(count >= 1 && count <= 1000, "a number is out of its range");
  expect(bytes >= 1024 && bytes <= std::uint64_t{1} << 40, "a size is out of its range");
  expect(period.count() > 0, "a time is none, or below it");
  expect(pause.count() >= 0, "a time is below none");
  expect(!listen.to_string().empty(), "an address is none");
  expect(!to_string(server).empty(), "a server is none");
  return 0;
}
