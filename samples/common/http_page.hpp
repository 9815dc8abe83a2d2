// The client's side of HTTP, as far as a crawler needs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace samples {

struct http_page {
  unsigned status = 0;
  std::string content_type;
  std::string body;
};

// Connects, asks, and waits for all of the answer. Throws std::system_error, or std::runtime_error if the
// answer is no HTTP.
http_page http_get(const std::string& host, std::uint16_t port, const std::string& path);

// The paths that an HTML page at `base` links to on its own server, each as often as it does, without
// fragments.
std::vector<std::string> links_of(const http_page& page, const std::string& base);

}  // namespace samples
