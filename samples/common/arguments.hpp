// Command-line options with the units and the messages that people expect. Each leaves `value` alone if the
// option is not given, and shows what it holds now as the default.
#pragma once

#include <zsync/io/socket_address.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// CLI11 takes long to compile: its header is for the few sources that do more than to name options.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace samples {

void add_flag(CLI::App& command, const std::string& name, bool& value, const std::string& help);

// Any word.
CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& value, const std::string& help,
                      const std::string& type = "TEXT");

// As many words as there are.
CLI::Option* add_texts(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                       const std::string& help);

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

// A folder that is there.
CLI::Option* add_folder(CLI::App& command, const std::string& name, std::string& value,
                        const std::string& help);

// Marks what must be given.
void require(CLI::Option* option);

// Once all options of the command are known: `complaint` says what is wrong with them together, or nothing.
void add_check(CLI::App& command, std::function<std::string()> complaint);

// What the command's help ends with.
void add_footer(CLI::App& command, const std::string& text);

// One of a few words; `choose` is told which. The one at `now` is the default.
CLI::Option* add_word(CLI::App& command, const std::string& name, std::vector<std::string> words,
                      std::size_t now, std::function<void(std::size_t)> choose, const std::string& help);

template <class T>
CLI::Option* add_choice(CLI::App& command, const std::string& name, T& value,
                        std::vector<std::pair<std::string, T>> words, const std::string& help) {
  std::vector<std::string> names;
  std::size_t now = 0;
  for (const auto& [word, meaning] : words) {
    if (meaning == value) now = names.size();
    names.push_back(word);
  }
  const auto choose = [&value, words = std::move(words)](std::size_t i) { value = words[i].second; };
  return add_word(command, name, std::move(names), now, choose, help);
}

}  // namespace samples
