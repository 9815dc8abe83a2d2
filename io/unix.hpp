// Unix sockets: streams and datagrams within one machine, which can carry descriptors.
#pragma once

#include <zsync/io/stream_socket.hpp>
#include <zsync/io/unique_fd.hpp>

#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace zsync {
namespace detail {

inline constexpr std::size_t descriptors_max = 253;  // the kernel's limit for one message

std::size_t send_with_descriptors(const descriptor_ptr& d, const_buffer data,
                                  std::span<const int> descriptors, const socket_address* to,
                                  std::error_code& ec);
std::size_t receive_with_descriptors(const descriptor_ptr& d, mutable_buffer data,
                                     std::vector<unique_fd>& descriptors, socket_address* from,
                                     std::error_code& ec);

}  // namespace detail

// Thread-safety and the forms of the calls: see stream.hpp.
class unix_stream : public stream_socket<unix_stream> {
 public:
  unix_stream() noexcept = default;  // as if closed
  unix_stream(from_fd_t, int fd);    // takes over a connected socket
  unix_stream(unix_stream&&) noexcept = default;
  unix_stream& operator=(unix_stream&&) noexcept = default;
  ~unix_stream() = default;

  // Waits until there is room in the listener's backlog. A path that begins with '@' is abstract.
  static unix_stream connect(std::string_view path);
  static unix_stream connect(const socket_address& to);
  static unix_stream connect(const socket_address& to, std::error_code& ec);

  // Two streams connected to each other.
  static std::pair<unix_stream, unix_stream> pair();

  // As write(), with copies of the descriptors, at most 253, which go with the first byte: `data` must not be
  // empty.
  std::size_t send_descriptors(const_buffer data, std::span<const int> descriptors, std::error_code& ec);
  std::size_t send_descriptors(const_buffer data, std::span<const int> descriptors);
  // As read(), and appends the descriptors that came with those bytes. They are closed on exec.
  std::size_t receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors,
                                  std::error_code& ec);
  std::size_t receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors);

 private:
  explicit unix_stream(detail::descriptor_ptr d) noexcept : stream_socket(std::move(d)) {}
};

// Accepts connections; see tcp_listener. The path is neither removed before bind() nor after close().
class unix_listener : public descriptor_owner, public socket_calls<unix_listener> {
 public:
  unix_listener() noexcept = default;
  unix_listener(from_fd_t, int fd);
  unix_listener(unix_listener&&) noexcept = default;
  unix_listener& operator=(unix_listener&&) noexcept = default;
  ~unix_listener() = default;

  static unix_listener bind(std::string_view path);
  static unix_listener bind(const socket_address& to, std::error_code& ec);

  unix_stream accept();
  unix_stream accept(std::error_code& ec);

 private:
  explicit unix_listener(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}

  detail::accept_backoff backoff_;
};

// Messages that arrive whole, in order, and reliably: a sender waits for room.
class unix_datagram : public descriptor_owner, public socket_calls<unix_datagram> {
 public:
  unix_datagram() noexcept = default;
  unix_datagram(from_fd_t, int fd);
  unix_datagram(unix_datagram&&) noexcept = default;
  unix_datagram& operator=(unix_datagram&&) noexcept = default;
  ~unix_datagram() = default;

  static unix_datagram bind(std::string_view path);
  static unix_datagram bind(const socket_address& to, std::error_code& ec);
  static unix_datagram unbound();  // for sending only
  static std::pair<unix_datagram, unix_datagram> pair();

  // Sets the peer of send(); receives from it alone.
  void connect(std::string_view path);

  // One message. Receiving cuts off what does not fit, and gives back the size of what it left.
  std::size_t send(const_buffer data, std::error_code& ec);
  std::size_t send(const_buffer data);
  std::size_t recv(mutable_buffer data, std::error_code& ec);
  std::size_t recv(mutable_buffer data);
  std::size_t send_to(const_buffer data, const socket_address& to);
  std::size_t recv_from(mutable_buffer data, socket_address& from);
  std::size_t send_descriptors(const_buffer data, std::span<const int> descriptors);
  std::size_t receive_descriptors(mutable_buffer data, std::vector<unique_fd>& descriptors);

 private:
  explicit unix_datagram(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}
};

}  // namespace zsync
