// What is taken for an address is written as one that is taken for the same.
#include "fuzz/input.hpp"

#include <zsync/io/socket_address.hpp>

#include <functional>

using namespace zsync;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text(data, size);
  std::error_code ec;
  if (const ip_address ip = ip_address::parse(text, ec); !ec)
    fuzz::expect(ip_address::parse(ip.to_string()) == ip, "an IP address is written as another");
  if (const socket_address a = socket_address::parse(text, ec); !ec) {
    const socket_address again = socket_address::parse(a.to_string(), ec);
    fuzz::expect(!ec && again == a, "an address is written as another, or as none");
    fuzz::expect(std::hash<socket_address>{}(again) == std::hash<socket_address>{}(a), "equal hashes differ");
  }
  return 0;
}
