#include "common/text.hpp"

#include <array>
#include <cstdio>

namespace samples {
namespace {

// Three significant digits, which is what a measurement is worth.
std::string three_digits(double value) {
  return fixed_text(value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

}  // namespace

std::string fixed_text(double value, int decimals) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string count_text(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

std::string count_text(std::uint64_t count, const char* of) {
  return count_text(count) + ' ' + of + (count == 1 ? "" : "s");
}

std::string rate_text(std::uint64_t before, std::uint64_t now, double seconds) {
  if (now < before) return "-";
  return count_text(static_cast<std::uint64_t>(static_cast<double>(now - before) / seconds + 0.5)) + "/s";
}

std::string duration_text(std::chrono::nanoseconds d) {
  const auto ns = static_cast<double>(d.count());
  if (ns < 1e3) return std::to_string(d.count()) + " ns";
  if (ns < 1e6) return three_digits(ns / 1e3) + " µs";
  if (ns < 1e9) return three_digits(ns / 1e6) + " ms";
  return three_digits(ns / 1e9) + " s";
}

std::string bytes_text(double bytes) {
  if (bytes < 1024) return fixed_text(bytes, 0) + " B";
  constexpr std::array units{" KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return three_digits(bytes) + units[unit];
}

}  // namespace samples
