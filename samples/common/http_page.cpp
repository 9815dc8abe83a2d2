#include "common/http_page.hpp"

#include <zsync/zsync.hpp>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <stdexcept>
#include <string_view>

namespace samples {
namespace {

namespace http = boost::beast::http;

http_page parse(const std::string& answer) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.body_limit(boost::none);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(answer), error);
  if (!error && !parser.is_done()) parser.put_eof(error);
  if (error) throw std::runtime_error("no HTTP: " + error.message());
  auto& message = parser.get();
  const auto type = message[http::field::content_type];
  return {message.result_int(), {type.data(), type.size()}, std::move(message.body())};
}

// "../c" on the page "/a/b" is "/c". Empty if the link leads elsewhere than to this server.
std::string resolve_link(std::string_view link, std::string_view base) {
  link = link.substr(0, link.find('#'));
  if (link.empty() || link.starts_with("//") || link.find(':') < link.find_first_of("/?")) return {};
  std::string path(link.starts_with('/') ? link
                                         : base.substr(0, base.substr(0, base.find('?')).rfind('/') + 1));
  if (!link.starts_with('/')) path += link;
  for (std::size_t at; (at = path.find("/./")) != path.npos;) path.erase(at, 2);
  for (std::size_t at; (at = path.find("/../")) != path.npos;) {
    const std::size_t parent = at == 0 ? 0 : path.rfind('/', at - 1);
    path.erase(parent, at + 3 - parent);
  }
  return path;
}

}  // namespace

http_page http_get(const std::string& host, std::uint16_t port, const std::string& path) {
  auto server = zsync::tcp_stream::connect(host, port);
  server.write_all("GET " + path + " HTTP/1.0\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
  return parse(server.read_all());
}

std::vector<std::string> links_of(const http_page& page, const std::string& base) {
  std::vector<std::string> links;
  if (!page.content_type.starts_with("text/html")) return links;
  constexpr std::string_view attribute = "href=";
  const std::string_view text = page.body;
  for (std::size_t at = text.find(attribute); at != text.npos; at = text.find(attribute, at)) {
    at += attribute.size();
    if (at == text.size() || (text[at] != '"' && text[at] != '\'')) continue;
    const std::size_t end = text.find(text[at], at + 1);
    if (end == text.npos) break;
    auto link = resolve_link(text.substr(at + 1, end - at - 1), base);
    if (!link.empty()) links.push_back(std::move(link));
    at = end;
  }
  return links;
}

}  // namespace samples
