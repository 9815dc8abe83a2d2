// Addresses as values: IPv4, IPv6 and unix.
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#if __has_include(<format>)
#include <format>
#endif

namespace zsync {

// An IPv4 or IPv6 address without a port.
class ip_address {
 public:
  ip_address() noexcept = default;  // 0.0.0.0

  static ip_address v4(std::array<std::uint8_t, 4> bytes) noexcept;
  static ip_address v6(std::array<std::uint8_t, 16> bytes, std::uint32_t scope = 0) noexcept;

  // "127.0.0.1", "::1", "fe80::1%2", "fe80::1%eth0". Nothing may precede or follow. Throws
  // std::system_error(error::bad_address), or reports it.
  static ip_address parse(std::string_view text);
  static ip_address parse(std::string_view text, std::error_code& ec) noexcept;

  static ip_address loopback_v4() noexcept { return v4({127, 0, 0, 1}); }
  static ip_address loopback_v6() noexcept;
  static ip_address any_v4() noexcept { return {}; }
  static ip_address any_v6() noexcept { return v6({}); }

  [[nodiscard]] bool is_v4() const noexcept { return !six_; }
  [[nodiscard]] bool is_v6() const noexcept { return six_; }
  [[nodiscard]] bool is_loopback() const noexcept;
  [[nodiscard]] bool is_multicast() const noexcept;
  [[nodiscard]] bool is_unspecified() const noexcept;
  [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const noexcept {
    return bytes_;
  }  // v4: the first four
  [[nodiscard]] std::uint32_t scope() const noexcept { return scope_; }
  [[nodiscard]] std::string to_string() const;

  friend auto operator<=>(const ip_address&, const ip_address&) = default;
  friend std::ostream& operator<<(std::ostream& to, const ip_address& a);  // as to_string()

 private:
  bool six_ = false;
  std::array<std::uint8_t, 16> bytes_{};
  std::uint32_t scope_ = 0;
};

// Where a socket is: an IP address and a port, or the path of a unix socket (abstract ones begin with '@').
// Ordered and hashable, by family and then by value.
class socket_address {
 public:
  enum class family : std::uint8_t { none, v4, v6, unix_path };

  socket_address() noexcept = default;  // none
  socket_address(const ip_address& ip, std::uint16_t port) noexcept;
  // Throws std::system_error(error::bad_address) if the path is empty or too long.
  static socket_address unix_socket(std::string_view path);

  // "127.0.0.1:80", "[::1]:80", "unix:/path". Nothing may precede or follow. Throws
  // std::system_error(error::bad_address), or reports it.
  static socket_address parse(std::string_view text);
  static socket_address parse(std::string_view text, std::error_code& ec) noexcept;

  // As the kernel gave it.
  static socket_address from_native(const sockaddr* address, socklen_t length) noexcept;

  [[nodiscard]] family kind() const noexcept;
  [[nodiscard]] bool is_ip() const noexcept { return kind() == family::v4 || kind() == family::v6; }
  [[nodiscard]] std::uint16_t port() const noexcept;     // 0 without one
  void set_port(std::uint16_t port) noexcept;            // nothing happens without one
  [[nodiscard]] ip_address ip() const noexcept;          // 0.0.0.0 without one
  [[nodiscard]] std::string_view path() const noexcept;  // of a unix socket; empty if it has none
  [[nodiscard]] std::string to_string() const;           // what parse() takes; "" for none

  [[nodiscard]] const sockaddr* native() const noexcept {
    return reinterpret_cast<const sockaddr*>(storage_.data());
  }
  [[nodiscard]] socklen_t native_size() const noexcept { return size_; }
  [[nodiscard]] int native_family() const noexcept { return native()->sa_family; }

  friend bool operator==(const socket_address& a, const socket_address& b) noexcept { return (a <=> b) == 0; }
  friend std::strong_ordering operator<=>(const socket_address& a, const socket_address& b) noexcept;
  friend std::ostream& operator<<(std::ostream& to, const socket_address& a);  // as to_string()

 private:
  static constexpr std::size_t size_max = 112;  // of sockaddr_un, the largest
  static std::optional<socket_address> parse_unix(std::string_view path) noexcept;
  static std::optional<socket_address> parse_ip(std::string_view text) noexcept;

  alignas(8) std::array<char, size_max> storage_{};  // a sockaddr of its family
  socklen_t size_ = 0;
};

}  // namespace zsync

template <>
struct std::hash<zsync::ip_address> {
  std::size_t operator()(const zsync::ip_address& a) const noexcept;
};
template <>
struct std::hash<zsync::socket_address> {
  std::size_t operator()(const zsync::socket_address& a) const noexcept;
};

#if defined(__cpp_lib_format)
// As to_string(), with the width and alignment that strings have.
template <>
struct std::formatter<zsync::ip_address> : std::formatter<std::string_view> {
  auto format(const zsync::ip_address& a, std::format_context& c) const {
    return std::formatter<std::string_view>::format(a.to_string(), c);
  }
};
template <>
struct std::formatter<zsync::socket_address> : std::formatter<std::string_view> {
  auto format(const zsync::socket_address& a, std::format_context& c) const {
    return std::formatter<std::string_view>::format(a.to_string(), c);
  }
};
#endif
