#include <zsync/io/connect_race.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/resolve.hpp>
#include <zsync/io/tcp.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <string>
#include <vector>

namespace zsync {
namespace {

using detail::descriptor_kind;
using detail::descriptor_ptr;
using detail::set_option;
using detail::throw_if;

std::string endpoint_text(std::string_view host, std::uint16_t port) {
  const bool v6 = host.find(':') != host.npos;
  return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + std::to_string(port);
}

}  // namespace

// ---- tcp_stream ----

tcp_stream::tcp_stream(from_fd_t, int fd)
    : stream_socket(descriptor_ptr::adopt(fd, descriptor_kind::stream_socket)) {}

tcp_stream tcp_stream::connect(const socket_address& to, std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(to.native_family(), SOCK_STREAM, descriptor_kind::stream_socket, ec);
  if (ec) return {};
  detail::connect_socket(*d, to, ec);
  return ec ? tcp_stream() : tcp_stream(std::move(d));
}

tcp_stream tcp_stream::connect(const socket_address& to) {
  std::error_code ec;
  tcp_stream connected = connect(to, ec);
  if (ec) detail::fail(ec, ("connect " + to.to_string()).c_str());
  return connected;
}

tcp_stream tcp_stream::connect(std::string_view host, std::uint16_t port, std::error_code& ec) {
  std::vector<socket_address> addresses = resolve(host, std::to_string(port), {}, ec);
  if (ec) return {};
  descriptor_ptr d = detail::connect_first(std::move(addresses), ec);
  return ec ? tcp_stream() : tcp_stream(std::move(d));
}

tcp_stream tcp_stream::connect(std::string_view host, std::uint16_t port) {
  std::error_code ec;
  tcp_stream connected = connect(host, port, ec);
  if (ec) detail::fail(ec, ("connect " + endpoint_text(host, port)).c_str());
  return connected;
}

void tcp_stream::set_nodelay(bool on, std::error_code& ec) {
  set_option(stream_descriptor(), IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0, ec);
}
void tcp_stream::set_nodelay(bool on) {
  std::error_code ec;
  set_nodelay(on, ec);
  throw_if(ec, "set_nodelay");
}

void tcp_stream::set_keepalive(bool on) {
  std::error_code ec;
  set_option(stream_descriptor(), SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0, ec);
  throw_if(ec, "set_keepalive");
}
void tcp_stream::set_keepalive(const keepalive_options& options, std::error_code& ec) {
  const descriptor_ptr& d = stream_descriptor();
#if defined(TCP_KEEPIDLE)
  set_option(d, IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(options.idle.count()), ec);
#else
  set_option(d, IPPROTO_TCP, TCP_KEEPALIVE, static_cast<int>(options.idle.count()), ec);
#endif
  if (!ec) set_option(d, IPPROTO_TCP, TCP_KEEPINTVL, static_cast<int>(options.interval.count()), ec);
  if (!ec) set_option(d, IPPROTO_TCP, TCP_KEEPCNT, options.probes, ec);
  if (!ec) set_option(d, SOL_SOCKET, SO_KEEPALIVE, 1, ec);
}
void tcp_stream::set_keepalive(const keepalive_options& options) {
  std::error_code ec;
  set_keepalive(options, ec);
  throw_if(ec, "set_keepalive");
}

void tcp_stream::set_user_timeout(std::chrono::milliseconds d) {
#if defined(TCP_USER_TIMEOUT)
  std::error_code ec;
  set_option(stream_descriptor(), IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(d.count()), ec);
  throw_if(ec, "set_user_timeout");
#else
  static_cast<void>(d);
  throw_if(std::make_error_code(std::errc::operation_not_supported), "set_user_timeout");
#endif
}

void tcp_stream::set_linger(std::chrono::seconds d) {
  std::error_code ec;
  const linger value{1, static_cast<int>(d.count())};
  set_option(stream_descriptor(), SOL_SOCKET, SO_LINGER, &value, sizeof value, ec);
  throw_if(ec, "set_linger");
}

// ---- tcp_listener ----

tcp_listener::tcp_listener(from_fd_t, int fd)
    : descriptor_owner(descriptor_ptr::adopt(fd, descriptor_kind::socket)) {
  detail::kernel::fcntl(fd, F_SETFL, detail::kernel::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

tcp_listener tcp_listener::bind(const socket_address& to, const listen_options& options,
                                std::error_code& ec) {
  descriptor_ptr d = detail::make_socket(to.native_family(), SOCK_STREAM, descriptor_kind::socket, ec);
  if (!ec && options.reuse_address) set_option(d, SOL_SOCKET, SO_REUSEADDR, 1, ec);
  if (!ec && options.reuse_port) set_option(d, SOL_SOCKET, SO_REUSEPORT, 1, ec);
  if (!ec && to.kind() == socket_address::family::v6) {
    set_option(d, IPPROTO_IPV6, IPV6_V6ONLY, options.v6_only ? 1 : 0, ec);
  }
  if (!ec) detail::bind_socket(*d, to, ec);
  if (!ec && detail::kernel::listen(d->fd(), options.backlog) != 0) ec = {errno, std::system_category()};
  return ec ? tcp_listener() : tcp_listener(std::move(d));
}

tcp_listener tcp_listener::bind(const socket_address& to, const listen_options& options) {
  std::error_code ec;
  tcp_listener bound = bind(to, options, ec);
  if (ec) detail::fail(ec, ("bind " + to.to_string()).c_str());
  return bound;
}

tcp_listener tcp_listener::bind(std::string_view host, std::uint16_t port, const listen_options& options,
                                std::error_code& ec) {
  const std::vector<socket_address> addresses = resolve(host, std::to_string(port), {}, ec);
  if (ec) return {};
  for (const socket_address& to : addresses) {
    tcp_listener bound = bind(to, options, ec);
    if (!ec) return bound;
    // "localhost" may have an IPv6 address on a machine that has none.
    if (ec != std::errc::address_not_available && ec != std::errc::address_family_not_supported) break;
  }
  return {};
}

tcp_listener tcp_listener::bind(std::string_view host, std::uint16_t port, const listen_options& options) {
  std::error_code ec;
  tcp_listener bound = bind(host, port, options, ec);
  if (ec) detail::fail(ec, ("bind " + endpoint_text(host, port)).c_str());
  return bound;
}

tcp_stream tcp_listener::accept(std::error_code& ec) {
  const int fd = backoff_.accept(stream_descriptor(), ec);
  return fd < 0 ? tcp_stream() : tcp_stream(from_fd, fd);
}

tcp_stream tcp_listener::accept() {
  std::error_code ec;
  tcp_stream accepted = accept(ec);
  throw_if(ec, "accept");
  return accepted;
}

}  // namespace zsync
