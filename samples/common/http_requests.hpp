// The requests of an HTTP/1.1 connection, one after the other.
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

// Boost.Beast's parser takes them apart. Bodies are passed over. For one fiber.
class http_requests {
 public:
  explicit http_requests(zsync::tcp_stream& peer);
  ~http_requests();

  // Waits until a whole request has arrived. False: the peer has ended, between two requests. Throws
  // http_error if it is no HTTP, std::system_error if the connection breaks.
  bool next(http_request& into);

  // Whether something has arrived beyond the last request: a client that sends requests ahead is served
  // faster if their answers are sent together.
  [[nodiscard]] bool more_has_arrived() const noexcept { return !waiting_.empty(); }

 private:
  bool receive();

  static constexpr std::size_t buffer_size = 16 * 1024;  // a header has to fit
  zsync::tcp_stream& peer_;
  std::unique_ptr<char[]> buffer_;
  std::string_view waiting_;  // the part of the buffer that is still to be parsed
};

// The head of an answer, up to and including the empty line.
std::string http_head(int status, std::string_view content_type, std::size_t content_length, bool keep_alive);

// "/a%20b?c" is "/a b". Throws http_error.
std::string http_path(std::string_view target);

}  // namespace samples
