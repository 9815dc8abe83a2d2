// RESP, the protocol of Redis: commands in, replies out.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace samples {

struct protocol_error : std::runtime_error {
  using runtime_error::runtime_error;
};

// Takes what a connection sends, in whatever pieces it comes, and gives out commands.
class resp_parser {
 public:
  // Where to put up to `size` more bytes, and how many were put there.
  char* prepare(std::size_t size);
  void commit(std::size_t size);

  // The next whole command, whose words are valid until prepare() is called; nothing if more has to arrive.
  // Takes arrays of bulk strings, and plain lines such as "PING\r\n". Throws protocol_error.
  bool next(std::vector<std::string_view>& words);

 private:
  std::optional<std::string_view> line(std::size_t& at) const;
  std::optional<std::size_t> length(std::size_t& at, char type, std::size_t most) const;

  std::string received_;
  std::size_t filled_ = 0;  // bytes of `received_` that have arrived
  std::size_t taken_ = 0;   // of these, given out
};

// Collects replies, so that a batch of commands is answered by one write.
class resp_writer {
 public:
  void simple(std::string_view text) { append("+", text); }
  void error(std::string_view text) { append("-ERR ", text); }
  void integer(std::int64_t value) { append(":", std::to_string(value)); }
  void array(std::size_t size) { append("*", std::to_string(size)); }
  void null() { replies_ += "$-1\r\n"; }
  void bulk(std::string_view text) {
    append("$", std::to_string(text.size()));
    append("", text);
  }

  [[nodiscard]] const std::string& replies() const { return replies_; }
  void clear() { replies_.clear(); }

 private:
  void append(std::string_view prefix, std::string_view text) {
    replies_.append(prefix).append(text).append("\r\n");
  }

  std::string replies_;
};

}  // namespace samples
