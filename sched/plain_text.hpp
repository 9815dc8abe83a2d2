// Text that is the same in every locale: for dumps and figures. Not a public header.
#pragma once

#include <zsync/timer/clock.hpp>

#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>

namespace zsync::detail {

class plain_text {
 public:
  plain_text& operator<<(std::string_view text) {
    text_ += text;
    return *this;
  }
  plain_text& operator<<(const char* text) { return *this << std::string_view(text); }
  plain_text& operator<<(char c) {
    text_ += c;
    return *this;
  }
  template <std::unsigned_integral N>
  plain_text& operator<<(N number) {
    return add_number(number);
  }
  plain_text& operator<<(const void* address);      // as 0x...
  plain_text& operator<<(clock::duration seconds);  // with three digits, without a unit
  plain_text& add_line(std::string_view text);      // on one line whatever it is
  plain_text& add_name(std::string_view name);      // likewise, in '...'
  plain_text& add_json(std::string_view text);      // in "...", valid whatever it is
  plain_text& add_label(std::string_view value);    // likewise, as Prometheus has it

  [[nodiscard]] std::string_view view() const noexcept { return text_; }
  void write_to(std::ostream& out);  // and begins anew

 private:
  plain_text& add_number(std::uint64_t number);
  template <class Escape>
  plain_text& add_quoted(std::string_view text, std::string_view replacement, Escape escape);

  std::string text_;
};

}  // namespace zsync::detail
