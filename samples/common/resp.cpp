#include "common/resp.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

namespace samples {
namespace {

constexpr std::size_t words_max = 1 << 20;
constexpr std::size_t word_size_max = 64 << 20;
constexpr std::size_t line_size_max = 64 << 10;

}  // namespace

char* resp_parser::prepare(std::size_t size) {
  std::memmove(received_.data(), received_.data() + taken_, filled_ - taken_);
  filled_ -= std::exchange(taken_, 0);
  if (received_.size() < filled_ + size) received_.resize(filled_ + size);
  return received_.data() + filled_;
}

void resp_parser::commit(std::size_t size) { filled_ += size; }

// The line that starts at `at`, which moves behind it.
std::optional<std::string_view> resp_parser::line(std::size_t& at) const {
  const auto all = std::string_view(received_).substr(0, filled_);
  const std::size_t end = all.find('\n', at);
  if (end == all.npos) {
    if (filled_ - at > line_size_max) throw protocol_error("too big line");
    return std::nullopt;
  }
  auto found = all.substr(at, end - at);
  if (found.ends_with('\r')) found.remove_suffix(1);
  at = end + 1;
  return found;
}

// A line that is `type` and a number.
std::optional<std::size_t> resp_parser::length(std::size_t& at, char type, std::size_t most) const {
  const auto text = line(at);
  if (!text) return std::nullopt;
  std::size_t value = 0;
  if (!text->starts_with(type)) throw protocol_error(std::string("expected '") + type + "'");
  const char* const end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data() + 1, end, value);
  if (error != std::errc{} || stop != end || value > most) throw protocol_error("invalid length");
  return value;
}

bool resp_parser::next(std::vector<std::string_view>& words) {
  words.clear();
  std::size_t at = taken_;
  if (at == filled_) return false;
  if (received_[at] != '*') {
    auto rest = line(at);
    if (!rest) return false;
    while (!rest->empty()) {
      const std::size_t space = std::min(rest->find(' '), rest->size());
      if (space != 0) words.push_back(rest->substr(0, space));
      rest->remove_prefix(std::min(space + 1, rest->size()));
    }
    taken_ = at;
    return true;
  }
  const auto count = length(at, '*', words_max);
  if (!count) return false;
  for (std::size_t i = 0; i != *count; ++i) {
    const auto size = length(at, '$', word_size_max);
    if (!size || filled_ - at < *size + 2) return false;
    words.push_back(std::string_view(received_).substr(at, *size));
    at += *size + 2;
  }
  taken_ = at;
  return true;
}

}  // namespace samples
