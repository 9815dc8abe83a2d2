// Command-line options with the units and the messages that people expect. Each leaves `value` alone if the
// option is not given, and shows what it holds now as the default.
#pragma once

#include <zsync/io/socket_address.hpp>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace samples {

// A whole number in [least, most].
CLI::Option* add_count(CLI::App& command, const std::string& name, std::uint64_t& value, std::uint64_t least,
                       std::uint64_t most, const std::string& help);

// Bytes: 4096, 64K, 2M, 1GiB; a K is 1024.
CLI::Option* add_size(CLI::App& command, const std::string& name, std::uint64_t& value, std::uint64_t least,
                      std::uint64_t most, const std::string& help);

// 250ms, 1.5s, 2m; a bare number is seconds. It may be 0 where that is what `value` holds now.
CLI::Option* add_duration(CLI::App& command, const std::string& name, std::chrono::nanoseconds& value,
                          const std::string& help);

// 127.0.0.1:7000, [::1]:7000, unix:/path; :7000 or 7000 alone means this host.
CLI::Option* add_address(CLI::App& command, const std::string& name, zsync::socket_address& value,
                         const std::string& help);

// As add_address, but takes names too: localhost:7000.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
};
std::string to_string(const endpoint& e);
CLI::Option* add_endpoint(CLI::App& command, const std::string& name, endpoint& value,
                          const std::string& help);
CLI::Option* add_endpoints(CLI::App& command, const std::string& name, std::vector<endpoint>& values,
                           const std::string& help);

// One of a few words.
template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, T& value,
                        std::vector<std::pair<std::string, T>> words, const std::string& help) {
  std::string all;
  std::string now;
  for (const auto& [word, meaning] : words) {
    all += (all.empty() ? "" : ", ") + word;
    if (meaning == value) now = word;
  }
  const auto parse = [&value, words = std::move(words), name, all](const std::string& text) {
    for (const auto& [word, meaning] : words) {
      if (word == text) {
        value = meaning;
        return;
      }
    }
    throw CLI::ValidationError(name, "'" + text + "' is none of " + all);
  };
  return command.add_option_function<std::string>(name, parse, help + ": " + all)
      ->type_name("WORD")
      ->default_str(now);
}

}  // namespace samples
