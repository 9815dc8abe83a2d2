#include "common/arguments.hpp"

#include "common/text.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

namespace samples {
namespace {

// All of `text` as a number, or nothing.
template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// Splits "64KiB", or "64 KiB", into its digits and its unit.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789.+-"), text.size());
  const std::size_t unit = std::min(text.find_first_not_of(' ', digits), text.size());
  return {text.substr(0, digits), text.substr(unit)};
}

[[noreturn]] void refuse(const std::string& name, const std::string& text, const std::string& why) {
  throw CLI::ValidationError(name, "'" + text + "' is not " + why);
}

CLI::Option* add(CLI::App& command, const std::string& name, const std::string& help, const std::string& type,
                 const std::string& now, const std::function<void(const std::string&)>& parse) {
  return command.add_option_function<std::string>(name, parse, help)->type_name(type)->default_str(now);
}

std::uint64_t unit_of_size(std::string_view unit) {
  if (unit.empty() || unit == "B") return 1;
  constexpr std::array<std::string_view, 3> suffixes{"", "B", "iB"};
  for (const auto suffix : suffixes) {
    if (unit.substr(1) != suffix) continue;
    switch (unit[0]) {
      case 'k':
      case 'K':
        return std::uint64_t{1} << 10;
      case 'M':
        return std::uint64_t{1} << 20;
      case 'G':
        return std::uint64_t{1} << 30;
      default:
        break;
    }
  }
  return 0;
}

double unit_of_duration(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1;
  if (unit == "us" || unit == "µs") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "m" || unit == "min") return 60;
  if (unit == "h") return 3600;
  return 0;
}

}  // namespace

void add_flag(CLI::App& command, const std::string& name, bool& value, const std::string& help) {
  command.add_flag(name, value, help);
}

CLI::Option* add_text(CLI::App& command, const std::string& name, std::string& value, const std::string& help,
                      const std::string& type) {
  return command.add_option(name, value, help)->type_name(type)->capture_default_str();
}

CLI::Option* add_texts(CLI::App& command, const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
  return command.add_option(name, values, help);
}

CLI::Option* add_folder(CLI::App& command, const std::string& name, std::string& value,
                        const std::string& help) {
  return add_text(command, name, value, help, "FOLDER")->check(CLI::ExistingDirectory);
}

void require(CLI::Option* option) { option->required(); }

void add_check(CLI::App& command, std::function<std::string()> complaint) {
  command.parse_complete_callback([complaint = std::move(complaint)] {
    if (const std::string text = complaint(); !text.empty()) throw CLI::ValidationError(text);
  });
}

void add_footer(CLI::App& command, const std::string& text) { command.footer(text); }

CLI::Option* add_word(CLI::App& command, const std::string& name, std::vector<std::string> words,
                      std::size_t now, std::function<void(std::size_t)> choose, const std::string& help) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ", ") + word;
  const std::string shown = words[now];
  const auto parse = [words = std::move(words), choose = std::move(choose), name,
                      all](const std::string& text) {
    const auto found = std::find(words.begin(), words.end(), text);
    if (found == words.end()) throw CLI::ValidationError(name, "'" + text + "' is none of " + all);
    choose(static_cast<std::size_t>(found - words.begin()));
  };
  return add(command, name, help + ": " + all, "WORD", shown, parse);
}

CLI::Option* add_count(CLI::App& command, const std::string& name, std::uint64_t& value, std::uint64_t least,
                       std::uint64_t most, const std::string& help) {
  const auto parse = [&value, name, least, most](const std::string& text) {
    const auto parsed = number<std::uint64_t>(text);
    if (!parsed || *parsed < least || *parsed > most) {
      refuse(name, text, "a whole number from " + std::to_string(least) + " to " + std::to_string(most));
    }
    value = *parsed;
  };
  return add(command, name, help, "N", std::to_string(value), parse);
}

CLI::Option* add_size(CLI::App& command, const std::string& name, std::uint64_t& value, std::uint64_t least,
                      std::uint64_t most, const std::string& help) {
  const auto parse = [&value, name, least, most](const std::string& text) {
    const auto [digits, unit] = split_unit(text);
    const auto parsed = number<std::uint64_t>(digits);
    const std::uint64_t factor = unit_of_size(unit);
    if (!parsed || factor == 0 || *parsed > most / factor || *parsed * factor < least) {
      refuse(name, text,
             "a size from " + bytes_text(static_cast<double>(least)) + " to " +
                 bytes_text(static_cast<double>(most)) + ", such as 64K");
    }
    value = *parsed * factor;
  };
  return add(command, name, help, "SIZE", bytes_text(static_cast<double>(value)), parse);
}

CLI::Option* add_duration(CLI::App& command, const std::string& name, std::chrono::nanoseconds& value,
                          const std::string& help) {
  const bool may_be_zero = value.count() == 0;
  const auto parse = [&value, name, may_be_zero](const std::string& text) {
    const auto [digits, unit] = split_unit(text);
    const auto parsed = number<double>(digits);
    const double factor = unit_of_duration(unit);
    const double seconds = parsed.value_or(0) * factor;
    const bool zero = may_be_zero && parsed == 0.0 && factor > 0;
    if ((!(seconds > 0) && !zero) || seconds > 1e9)
      refuse(name, text, "a duration, such as 5, 250ms or 1.5m");
    value = std::chrono::nanoseconds{std::llround(seconds * 1e9)};
  };
  return add(command, name, help, "DURATION", value.count() == 0 ? "0" : duration_text(value), parse);
}

namespace {

// What is wrong with an address in particular, where that can be told.
std::string trouble_with(const std::string& text) {
  const std::string port = text.substr(text.rfind(':') + 1);
  const bool figures = !port.empty() && port.find_first_not_of("0123456789") == port.npos;
  if (figures && !number<std::uint16_t>(port)) return "an address: a port is at most 65535";
  const std::size_t colon = text.find(':');
  const std::string host = text.substr(0, std::min(colon, text.size()));
  if (figures && colon != 0 && text.rfind(':') == colon &&
      host.find_first_not_of("0123456789.") != host.npos) {
    return "an address: names are not looked up here, write it in figures, such as 127.0.0.1:" + port;
  }
  return "an address, such as 127.0.0.1:7000, [::1]:7000 or unix:/path";
}

}  // namespace

CLI::Option* add_address(CLI::App& command, const std::string& name, zsync::socket_address& value,
                         const std::string& help) {
  const auto parse = [&value, name](const std::string& text) {
    std::string full = text;
    if (number<std::uint16_t>(text)) full = "127.0.0.1:" + text;
    if (text.starts_with(':')) full = "127.0.0.1" + text;
    std::error_code error;
    const auto parsed = zsync::socket_address::parse(full, error);
    if (error) refuse(name, text, trouble_with(text));
    value = parsed;
  };
  return add(command, name, help, "ADDRESS", value.to_string(), parse);
}

std::string to_string(const endpoint& e) {
  const bool v6 = e.host.find(':') != std::string::npos;
  return (v6 ? "[" + e.host + "]" : e.host) + ":" + std::to_string(e.port);
}

namespace {

endpoint parse_endpoint(const std::string& name, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  const std::string figures = colon == text.npos ? text : text.substr(colon + 1);
  const auto port = number<std::uint16_t>(figures);
  std::string host = colon == text.npos || colon == 0 ? "127.0.0.1" : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos && host.find('/') == host.npos) {
    refuse(name, text, "an address: write IPv6 ones as [::1]:7000");
  }
  if ((!port || *port == 0) && !figures.empty() && figures.find_first_not_of("0123456789") == figures.npos) {
    refuse(name, text, "an address: a port to connect to is from 1 to 65535");
  }
  if (!port || host.find('/') != host.npos) {
    refuse(name, text, "an address with a port, such as localhost:7000");
  }
  return {host, *port};
}

}  // namespace

CLI::Option* add_endpoint(CLI::App& command, const std::string& name, endpoint& value,
                          const std::string& help) {
  const auto parse = [&value, name](const std::string& text) { value = parse_endpoint(name, text); };
  return add(command, name, help, "HOST:PORT", value.port == 0 ? "" : to_string(value), parse);
}

CLI::Option* add_endpoints(CLI::App& command, const std::string& name, std::vector<endpoint>& values,
                           const std::string& help) {
  const auto parse = [&values, name](const std::vector<std::string>& texts) {
    for (const auto& text : texts) values.push_back(parse_endpoint(name, text));
  };
  return command.add_option_function<std::vector<std::string>>(name, parse, help)->type_name("HOST:PORT");
}

}  // namespace samples
