// socks5-proxy: connects on behalf of others, as RFC 1928 says; without authentication.
#include "common/relay.hpp"
#include "common/tcp_server.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

namespace samples {
namespace {

using namespace std::chrono_literals;

enum class status : std::uint8_t {
  succeeded = 0,
  general_failure = 1,
  network_unreachable = 3,
  host_unreachable = 4,
  connection_refused = 5,
  command_not_supported = 7,
  address_type_not_supported = 8,
};

constexpr std::uint8_t version = 5;
constexpr auto patience = 10s;  // for the client's greeting, and for the target

std::vector<std::uint8_t> receive(zsync::tcp_stream& client, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  client.read_exact(bytes);
  return bytes;
}

// The client offers ways to authenticate; we take "none". False: it does not offer that.
bool greet(zsync::tcp_stream& client) {
  const auto head = receive(client, 2);
  if (head[0] != version) return false;
  const auto methods = receive(client, head[1]);
  const bool none_offered = std::find(methods.begin(), methods.end(), 0) != methods.end();
  client.write_all(std::array<std::uint8_t, 2>{version, none_offered ? std::uint8_t{0} : std::uint8_t{0xff}});
  return none_offered;
}

// The host that the client asks for, or an empty string if the address is of no known type.
std::string receive_host(zsync::tcp_stream& client, std::uint8_t type) {
  switch (type) {
    case 1: {
      const auto b = receive(client, 4);
      return std::to_string(b[0]) + '.' + std::to_string(b[1]) + '.' + std::to_string(b[2]) + '.' +
             std::to_string(b[3]);
    }
    case 3: {
      const auto name = receive(client, receive(client, 1)[0]);
      return {name.begin(), name.end()};
    }
    case 4: {
      const auto b = receive(client, 16);
      std::string text;
      constexpr auto digits = "0123456789abcdef";
      for (std::size_t i = 0; i != b.size(); ++i) {
        if (i % 2 == 0 && i != 0) text += ':';
        text += digits[b[i] >> 4];
        text += digits[b[i] & 15];
      }
      return text;
    }
    default:
      return {};
  }
}

status why(const std::error_code& error) {
  if (error == std::errc::connection_refused) return status::connection_refused;
  if (error == std::errc::network_unreachable) return status::network_unreachable;
  if (error == std::errc::host_unreachable || error == std::errc::timed_out ||
      error == zsync::error::no_such_host) {
    return status::host_unreachable;
  }
  return status::general_failure;
}

void answer(zsync::tcp_stream& client, status s) {
  // The address that it is connected from is of no use to anybody: zeros.
  client.write_all(std::array<std::uint8_t, 10>{version, static_cast<std::uint8_t>(s), 0, 1});
}

// Reads the request and fulfils it.
status connect(zsync::tcp_stream& client, zsync::tcp_stream& target) {
  const auto request = receive(client, 4);
  const std::string host = receive_host(client, request[3]);
  if (host.empty()) return status::address_type_not_supported;
  const auto port = receive(client, 2);
  if (request[1] != 1) return status::command_not_supported;
  std::error_code error;
  target = zsync::tcp_stream::connect(host, static_cast<std::uint16_t>(port[0] << 8 | port[1]), error);
  return error ? why(error) : status::succeeded;
}

class socks5_proxy final : public tcp_server {
 public:
  socks5_proxy() : tcp_server(1080) {}

  void serve(zsync::tcp_stream& client) override {
    zsync::tcp_stream target;
    {
      zsync::deadline_scope in_time(patience);
      if (!greet(client)) return;
      const status s = connect(client, target);
      answer(client, s);
      if (s != status::succeeded) return;
    }
    target.set_nodelay(true);
    relay(client, target);
  }
};

}  // namespace

std::unique_ptr<sample> make_socks5_proxy() { return std::make_unique<socks5_proxy>(); }

}  // namespace samples
