#include <zsync/io/socket_address.hpp>
#include <zsync/sched/error.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <ostream>

namespace zsync {
namespace {

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);

template <class Number>
std::optional<Number> parse_number(std::string_view text) noexcept {
  Number n{};
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

// inet_pton and if_nametoindex want an end; what does not fit is no address.
class c_text {
 public:
  explicit c_text(std::string_view text) noexcept : fits_(text.size() < sizeof text_) {
    if (fits_ && text.find('\0') == text.npos) {
      text.copy(text_, text.size());
    } else {
      fits_ = false;
    }
  }
  [[nodiscard]] bool fits() const noexcept { return fits_; }
  [[nodiscard]] const char* get() const noexcept { return text_; }

 private:
  bool fits_;
  char text_[64] = {};
};

std::optional<std::uint32_t> parse_scope(std::string_view text) noexcept {
  if (const auto number = parse_number<std::uint32_t>(text)) return number;
  const c_text name(text);
  if (!name.fits()) return std::nullopt;
  const unsigned index = ::if_nametoindex(name.get());
  return index != 0 ? std::optional<std::uint32_t>(index) : std::nullopt;
}

std::optional<ip_address> parse_v6(std::string_view text) noexcept {
  std::uint32_t scope = 0;
  if (const std::size_t percent = text.find('%'); percent != text.npos) {
    const auto parsed = parse_scope(text.substr(percent + 1));
    if (!parsed) return std::nullopt;
    scope = *parsed;
    text = text.substr(0, percent);
  }
  const c_text address(text);
  std::array<std::uint8_t, 16> bytes{};
  if (!address.fits() || ::inet_pton(AF_INET6, address.get(), bytes.data()) != 1) return std::nullopt;
  return ip_address::v6(bytes, scope);
}

std::optional<ip_address> parse_address(std::string_view text) noexcept {
  if (text.find(':') != text.npos) return parse_v6(text);
  const c_text address(text);
  std::array<std::uint8_t, 4> bytes{};
  if (!address.fits() || ::inet_pton(AF_INET, address.get(), bytes.data()) != 1) return std::nullopt;
  return ip_address::v4(bytes);
}

template <class T>
T parse_or_throw(std::string_view text) {
  std::error_code ec;
  T parsed = T::parse(text, ec);
  if (ec) throw std::system_error(ec, std::string(text));
  return parsed;
}

const sockaddr_in& as_v4(const sockaddr* a) noexcept { return *reinterpret_cast<const sockaddr_in*>(a); }
const sockaddr_in6& as_v6(const sockaddr* a) noexcept { return *reinterpret_cast<const sockaddr_in6*>(a); }

}  // namespace

// ---- ip_address ----

ip_address ip_address::v4(std::array<std::uint8_t, 4> bytes) noexcept {
  ip_address a;
  std::ranges::copy(bytes, a.bytes_.begin());
  return a;
}

ip_address ip_address::v6(std::array<std::uint8_t, 16> bytes, std::uint32_t scope) noexcept {
  ip_address a;
  a.six_ = true;
  a.bytes_ = bytes;
  a.scope_ = scope;
  return a;
}

ip_address ip_address::loopback_v6() noexcept {
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = 1;
  return v6(bytes);
}

ip_address ip_address::parse(std::string_view text) { return parse_or_throw<ip_address>(text); }

ip_address ip_address::parse(std::string_view text, std::error_code& ec) noexcept {
  const auto parsed = parse_address(text);
  ec = parsed ? std::error_code() : make_error_code(error::bad_address);
  return parsed.value_or(ip_address());
}

bool ip_address::is_loopback() const noexcept {
  return six_ ? bytes_ == loopback_v6().bytes_ : bytes_[0] == 127;
}

bool ip_address::is_multicast() const noexcept {
  return six_ ? bytes_[0] == 0xff : (bytes_[0] & 0xf0) == 0xe0;
}

bool ip_address::is_unspecified() const noexcept {
  return std::ranges::all_of(bytes_, [](std::uint8_t b) { return b == 0; });
}

std::string ip_address::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(six_ ? AF_INET6 : AF_INET, bytes_.data(), text, sizeof text);
  std::string result = text;
  if (scope_ != 0) result += '%' + std::to_string(scope_);
  return result;
}

std::ostream& operator<<(std::ostream& to, const ip_address& a) { return to << a.to_string(); }

// ---- socket_address ----

socket_address::socket_address(const ip_address& ip, std::uint16_t port) noexcept {
  if (ip.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, ip.bytes().data(), 4);
    std::memcpy(storage_.data(), &in, size_ = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    in.sin6_scope_id = ip.scope();
    std::memcpy(&in.sin6_addr, ip.bytes().data(), 16);
    std::memcpy(storage_.data(), &in, size_ = sizeof in);
  }
}

socket_address socket_address::unix_socket(std::string_view path) {
  const auto parsed = parse_unix(path);
  if (!parsed) throw std::system_error(error::bad_address, std::string(path));
  return *parsed;
}

std::optional<socket_address> socket_address::parse_unix(std::string_view path) noexcept {
  sockaddr_un un{};
  const bool abstract = path.starts_with('@');
  if (path.empty() || path.size() >= sizeof un.sun_path || path.find('\0') != path.npos) return std::nullopt;
  un.sun_family = AF_UNIX;
  path.copy(un.sun_path, path.size());
  if (abstract) un.sun_path[0] = '\0';
  socket_address a;
  a.size_ = static_cast<socklen_t>(path_offset + path.size() + (abstract ? 0 : 1));
  std::memcpy(a.storage_.data(), &un, sizeof un);
  return a;
}

std::optional<socket_address> socket_address::parse_ip(std::string_view text) noexcept {
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto ip = parse_address(host);
  if (!ip || !port || ip->is_v6() != bracketed) return std::nullopt;
  return socket_address(*ip, *port);
}

socket_address socket_address::parse(std::string_view text) { return parse_or_throw<socket_address>(text); }

socket_address socket_address::parse(std::string_view text, std::error_code& ec) noexcept {
  constexpr std::string_view unix_prefix = "unix:";
  const auto parsed =
      text.starts_with(unix_prefix) ? parse_unix(text.substr(unix_prefix.size())) : parse_ip(text);
  ec = parsed ? std::error_code() : make_error_code(error::bad_address);
  return parsed.value_or(socket_address());
}

socket_address socket_address::from_native(const sockaddr* address, socklen_t length) noexcept {
  socket_address a;
  if (address == nullptr || length < sizeof(sa_family_t)) return a;
  a.size_ = std::min<socklen_t>(length, size_max);
  std::memcpy(a.storage_.data(), address, a.size_);
  return a;
}

socket_address::family socket_address::kind() const noexcept {
  switch (native_family()) {
    case AF_INET:
      return family::v4;
    case AF_INET6:
      return family::v6;
    case AF_UNIX:
      return family::unix_path;
    default:
      return family::none;
  }
}

std::uint16_t socket_address::port() const noexcept {
  switch (kind()) {
    case family::v4:
      return ntohs(as_v4(native()).sin_port);
    case family::v6:
      return ntohs(as_v6(native()).sin6_port);
    default:
      return 0;
  }
}

void socket_address::set_port(std::uint16_t port) noexcept {
  if (is_ip()) *this = socket_address(ip(), port);
}

ip_address socket_address::ip() const noexcept {
  if (kind() == family::v4) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &as_v4(native()).sin_addr, bytes.size());
    return ip_address::v4(bytes);
  }
  if (kind() == family::v6) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &as_v6(native()).sin6_addr, bytes.size());
    return ip_address::v6(bytes, as_v6(native()).sin6_scope_id);
  }
  return {};
}

std::string_view socket_address::path() const noexcept {
  if (kind() != family::unix_path || size_ <= path_offset) return {};
  const std::string_view whole(storage_.data() + path_offset, size_ - path_offset);
  return whole.front() == '\0' ? whole : whole.substr(0, whole.find('\0'));
}

std::string socket_address::to_string() const {
  switch (kind()) {
    case family::v4:
      return ip().to_string() + ':' + std::to_string(port());
    case family::v6:
      return '[' + ip().to_string() + "]:" + std::to_string(port());
    case family::unix_path: {
      std::string text = "unix:" + std::string(path());
      std::ranges::replace(text, '\0', '@');
      return text;
    }
    case family::none:
      break;
  }
  return {};
}

std::ostream& operator<<(std::ostream& to, const socket_address& a) { return to << a.to_string(); }

std::strong_ordering operator<=>(const socket_address& a, const socket_address& b) noexcept {
  if (const auto order = a.kind() <=> b.kind(); order != 0) return order;
  if (a.kind() == socket_address::family::unix_path) return a.path() <=> b.path();
  if (const auto order = a.ip() <=> b.ip(); order != 0) return order;
  return a.port() <=> b.port();
}

}  // namespace zsync

std::size_t std::hash<zsync::ip_address>::operator()(const zsync::ip_address& a) const noexcept {
  const std::string_view bytes(reinterpret_cast<const char*>(a.bytes().data()), a.bytes().size());
  return std::hash<std::string_view>()(bytes) ^ (a.is_v6() ? a.scope() + 0x9e3779b97f4a7c15u : 0u);
}

std::size_t std::hash<zsync::socket_address>::operator()(const zsync::socket_address& a) const noexcept {
  if (!a.is_ip()) return std::hash<std::string_view>()(a.path());
  return std::hash<zsync::ip_address>()(a.ip()) ^ (std::size_t{a.port()} * 0x9e3779b97f4a7c15u);
}
