// UDP sockets.
#pragma once

#include <zsync/io/socket.hpp>
#include <zsync/io/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace zsync {

// One of several datagrams, for udp_socket::send_many().
struct outgoing_datagram {
  const_buffer data;
  socket_address to{};  // none: the connected peer
};

// And for recv_many(), which fills in what comes after the buffer.
struct incoming_datagram {
  mutable_buffer buffer{};
  std::size_t size = 0;  // of what is in the buffer
  socket_address from{};
  bool truncated = false;  // it did not fit
  // Not zero: the kernel has joined several of this size, the last one perhaps shorter; only if allowed by
  // set_receive_coalescing().
  std::size_t segment = 0;
};

struct bind_options {
  bool reuse_address = false;
  bool reuse_port = false;  // several sockets share the port, and the kernel deals datagrams out
  bool v6_only = true;
};

// Sends and receives datagrams. From fibers of any worker and from plain threads, several at a time. The
// forms of its calls, and what ends them, are those of stream.hpp.
class udp_socket : public descriptor_owner, public socket_calls<udp_socket> {
 public:
  udp_socket() noexcept = default;  // as if closed
  udp_socket(from_fd_t, int fd);
  udp_socket(udp_socket&&) noexcept = default;
  udp_socket& operator=(udp_socket&&) noexcept = default;
  ~udp_socket() = default;

  // Port 0 takes a free one; see local_address().
  static udp_socket bind(const socket_address& to, const bind_options& options = {});
  static udp_socket bind(const socket_address& to, const bind_options& options, std::error_code& ec);

  // Sets the peer of send(), and receives from it alone. An unreachable peer is then an error of later calls.
  void connect(const socket_address& to);
  void connect(const socket_address& to, std::error_code& ec);
  // A socket on a free port, connected.
  static udp_socket connected(const socket_address& to);

  // A datagram, or an error: a part is never sent.
  std::size_t send(const_buffer data, std::error_code& ec);
  std::size_t send(const_buffer data);
  std::size_t send_to(const_buffer data, const socket_address& to, std::error_code& ec);
  std::size_t send_to(const_buffer data, const socket_address& to);

  // The next datagram; what does not fit is lost. 0 may be an empty one.
  std::size_t recv(mutable_buffer to, std::error_code& ec);
  std::size_t recv(mutable_buffer to);
  std::size_t recv_from(mutable_buffer to, socket_address& from, std::error_code& ec);
  std::size_t recv_from(mutable_buffer to, socket_address& from);

  // Several with one system call, at most 64. Waits for room for the first, or for the first to arrive;
  // returns how many were sent, or received. Of those to send, neighbours of one size to one peer go through
  // the network stack as one where the kernel has segmentation offload.
  std::size_t send_many(std::span<const outgoing_datagram> datagrams, std::error_code& ec);
  std::size_t send_many(std::span<const outgoing_datagram> datagrams);
  std::size_t recv_many(std::span<incoming_datagram> datagrams, std::error_code& ec);
  std::size_t recv_many(std::span<incoming_datagram> datagrams);

  // Sends `data` as datagrams of `segment` bytes, the last one perhaps shorter, with one system call where
  // the kernel has segmentation offload, and with a few otherwise. At most 64 segments.
  std::size_t send_segments(const_buffer data, std::size_t segment, const socket_address& to,
                            std::error_code& ec);
  std::size_t send_segments(const_buffer data, std::size_t segment, const socket_address& to);

  // Lets the kernel join datagrams that came from one peer with one size (UDP_GRO), for recv_many() with
  // buffers of up to 64 KiB: see incoming_datagram::segment. Other calls would return them joined as well.
  // operation_not_supported where there is no such thing.
  void set_receive_coalescing(bool on);

  // `interface_index` 0: the system chooses.
  void join(const ip_address& group, unsigned interface_index = 0);
  void leave(const ip_address& group, unsigned interface_index = 0);
  void set_multicast_loop(bool on);
  void set_multicast_ttl(int hops);
  void set_multicast_interface(unsigned interface_index);
  void set_broadcast(bool on);

  // How long each single wait may take; timed_out after that. Zero or less: for ever.
  void set_read_timeout(std::chrono::nanoseconds d) noexcept;
  void set_write_timeout(std::chrono::nanoseconds d) noexcept;

  // Until recv() would not wait.
  void wait_readable();

 private:
  explicit udp_socket(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}

  [[nodiscard]] bool is_v6() const;
  void membership(const ip_address& group, unsigned interface_index, bool joins, const char* what);
};

}  // namespace zsync
