#include "common/http_connection.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/status.hpp>
#include <charconv>
#include <cstring>
#include <span>

namespace samples {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using beast_view = boost::beast::string_view;

// One request; keeps the request line and looks at nothing else.
class parser final : public http::basic_parser<true> {
 public:
  explicit parser(http_request& into) : request_(into) {
    eager(true);
    body_limit(boost::none);
  }

 private:
  void on_request_impl(http::verb, beast_view method, beast_view target, int, error_code&) override {
    request_.method.assign(method.data(), method.size());
    request_.target.assign(target.data(), target.size());
  }
  void on_response_impl(int, beast_view, int, error_code&) override {}
  void on_field_impl(http::field, beast_view, beast_view, error_code&) override {}
  void on_header_impl(error_code&) override { request_.keep_alive = keep_alive(); }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast_view body, error_code&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast_view body, error_code&) override { return body.size(); }
  void on_finish_impl(error_code&) override {}

  http_request& request_;
};

}  // namespace

http_connection::http_connection(zsync::tcp_stream& peer)
    : peer_(peer), buffer_(std::make_unique_for_overwrite<char[]>(buffer_size)) {}

http_connection::~http_connection() = default;

bool http_connection::next(http_request& into) {
  parser p(into);
  while (!p.is_done()) {
    error_code error;
    const std::size_t used =
        waiting_.empty() ? 0 : p.put(boost::asio::buffer(waiting_.data(), waiting_.size()), error);
    waiting_.remove_prefix(used);
    if (error && error != http::error::need_more) throw http_error(error.message());
    if (p.is_done()) break;
    if (receive()) continue;
    if (!p.got_some() && waiting_.empty()) return false;
    throw http_error("the request ends midway");
  }
  return true;
}

void http_connection::answer(std::string_view text) {
  answers_ += text;
  if (answers_.size() >= answers_max) send_answers();
}

void http_connection::send_answers() {
  if (answers_.empty()) return;
  peer_.write_all(answers_);
  answers_.clear();
}

// Adds what arrives next to what is still to be parsed. False: that was the end.
bool http_connection::receive() {
  send_answers();
  std::memmove(buffer_.get(), waiting_.data(), waiting_.size());
  const std::span<char> free(buffer_.get() + waiting_.size(), buffer_size - waiting_.size());
  if (free.empty()) throw http_error("the header is too long");
  const std::size_t n = peer_.read(free);
  waiting_ = {buffer_.get(), waiting_.size() + n};
  return n != 0;
}

std::string http_head(int status, std::string_view content_type, std::size_t content_length,
                      bool keep_alive) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  std::string head = "HTTP/1.1 " + std::to_string(status) + ' ';
  head.append(reason.data(), reason.size());
  head.append("\r\nContent-Type: ").append(content_type);
  head.append("\r\nContent-Length: ").append(std::to_string(content_length));
  if (!keep_alive) head.append("\r\nConnection: close");
  return head.append("\r\n\r\n");
}

std::string http_path(std::string_view target) {
  std::string path;
  for (target = target.substr(0, target.find('?')); !target.empty(); target.remove_prefix(1)) {
    if (target[0] != '%') {
      path += target[0];
      continue;
    }
    unsigned char byte = 0;
    if (target.size() < 3) throw http_error("half a percent code");
    const auto [stop, error] = std::from_chars(target.data() + 1, target.data() + 3, byte, 16);
    if (error != std::errc{} || stop != target.data() + 3 || byte == 0) throw http_error("no percent code");
    path += static_cast<char>(byte);
    target.remove_prefix(2);
  }
  return path;
}

}  // namespace samples
