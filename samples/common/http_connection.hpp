// The server's end of an HTTP/1.1 connection.
#pragma once

#include <zsync/zsync.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace samples {

struct http_request {
  std::string method;
  std::string target;      // as sent: "/a%20b?c"
  bool keep_alive = true;  // the client would like to send more
};

struct http_error : std::runtime_error {
  using runtime_error::runtime_error;
};

// Boost.Beast's parser takes requests apart. Their bodies are passed over. For one fiber.
class http_connection {
 public:
  explicit http_connection(zsync::tcp_stream& peer);
  ~http_connection();

  // Waits until a whole request has arrived; before it waits, it sends the answers collected so far. False:
  // the peer has ended, between two requests. Throws http_error if it is no HTTP, std::system_error if the
  // connection breaks.
  bool next(http_request& into);

  // Collects answers, so that those to requests sent ahead go out together.
  void answer(std::string_view text);
  void send_answers();

 private:
  bool receive();

  static constexpr std::size_t buffer_size = 16 * 1024;  // a header has to fit
  static constexpr std::size_t answers_max = 64 * 1024;  // collected before they are sent in any case
  zsync::tcp_stream& peer_;
  std::unique_ptr<char[]> buffer_;
  std::string_view waiting_;  // the part of the buffer that is still to be parsed
  std::string answers_;
};

// The head of an answer, up to and including the empty line.
std::string http_head(int status, std::string_view content_type, std::size_t content_length, bool keep_alive);

// "/a%20b?c" is "/a b". Throws http_error.
std::string http_path(std::string_view target);

}  // namespace samples
