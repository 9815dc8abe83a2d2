#include <zsync/sched/plain_text.hpp>

#include <charconv>
#include <cstddef>
#include <ostream>

namespace zsync::detail {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// How many bytes of well-formed UTF-8 begin here; 0: none do.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (at(i) & 0xc0u) == 0x80u; };
  const unsigned first = at(0);
  const unsigned second = at(1);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4 || !follows(1)) return 0;
  if (first < 0xe0) return 2;
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || !follows(2)) return 0;
  if (first < 0xf0) return 3;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f) || !follows(3)) return 0;
  return 4;
}

}  // namespace

plain_text& plain_text::add_number(std::uint64_t number) {
  char digits_of[20];
  text_.append(digits_of, std::to_chars(digits_of, digits_of + sizeof digits_of, number).ptr);
  return *this;
}

plain_text& plain_text::operator<<(const void* address) {
  char digits_of[16];
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  text_ += "0x";
  text_.append(digits_of, std::to_chars(digits_of, digits_of + sizeof digits_of, value, 16).ptr);
  return *this;
}

plain_text& plain_text::operator<<(clock::duration seconds) {
  const auto n = std::chrono::duration_cast<std::chrono::milliseconds>(seconds).count();
  const std::uint64_t milliseconds = n < 0 ? 0 : static_cast<std::uint64_t>(n);
  const std::uint64_t rest = milliseconds % 1000;
  return *this << milliseconds / 1000 << (rest < 10 ? ".00" : rest < 100 ? ".0" : ".") << rest;
}

plain_text& plain_text::add_name(std::string_view name) { return (*this << '\'').add_line(name) << '\''; }

plain_text& plain_text::add_line(std::string_view text) {
  for (const char c : text) {
    if (is_control(c)) {
      const auto code = static_cast<unsigned char>(c);
      ((text_ += "\\x") += digits[code / 16]) += digits[code % 16];
    } else {
      text_ += c;
    }
  }
  return *this;
}

plain_text& plain_text::add_json(std::string_view text) {
  return add_quoted(text, "\\ufffd", [this](char c) {
    if (!is_control(c)) return false;
    const auto code = static_cast<unsigned char>(c);
    ((text_ += "\\u00") += digits[code / 16]) += digits[code % 16];
    return true;
  });
}

// The format escapes the newline alone of all control characters.
plain_text& plain_text::add_label(std::string_view value) {
  return add_quoted(value, "\ufffd", [this](char c) {
    if (c == '\n') text_ += "\\n";
    return c == '\n';
  });
}

// `escape` is asked of what is one byte, and says whether it has written it in its own way.
template <class Escape>
plain_text& plain_text::add_quoted(std::string_view text, std::string_view replacement, Escape escape) {
  text_ += '"';
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const char c = text[0];
    if (length == 0) {
      text_ += replacement;
    } else if (length > 1 || !escape(c)) {
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
  return *this;
}

void plain_text::write_to(std::ostream& out) {
  out.write(text_.data(), static_cast<std::streamsize>(text_.size()));
  text_.clear();
}

}  // namespace zsync::detail
