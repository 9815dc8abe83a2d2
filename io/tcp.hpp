// TCP connections and listeners.
#pragma once

#include <zsync/io/stream_socket.hpp>

#include <chrono>
#include <cstdint>
#include <string_view>
#include <utility>

namespace zsync {

struct keepalive_options {
  std::chrono::seconds idle{60};      // of silence, before the first probe
  std::chrono::seconds interval{10};  // between probes
  int probes = 6;                     // unanswered, until the connection counts as dead
};

// A connection. Movable; the thread-safety and the forms of its calls are those of stream.hpp.
class tcp_stream : public stream_socket<tcp_stream> {
 public:
  tcp_stream() noexcept = default;  // as if closed
  // Takes over a connected socket. Throws std::bad_alloc, and then has closed it.
  tcp_stream(from_fd_t, int fd);
  tcp_stream(tcp_stream&&) noexcept = default;
  tcp_stream& operator=(tcp_stream&&) noexcept = default;
  ~tcp_stream() = default;

  // Waits until the connection stands. A host is a name or an address in figures; its addresses are tried in
  // turn until one answers, the error is the last one's.
  static tcp_stream connect(std::string_view host, std::uint16_t port);
  static tcp_stream connect(std::string_view host, std::uint16_t port, std::error_code& ec);
  static tcp_stream connect(const socket_address& to);
  static tcp_stream connect(const socket_address& to, std::error_code& ec);

  // Small writes are sent at once rather than gathered while data is unacknowledged.
  void set_nodelay(bool on);
  void set_nodelay(bool on, std::error_code& ec);

  // Probes a silent peer; one that does not answer ends the connection with timed_out.
  void set_keepalive(bool on);
  void set_keepalive(const keepalive_options& options);
  void set_keepalive(const keepalive_options& options, std::error_code& ec);

  // How long what was sent may stay unacknowledged (TCP_USER_TIMEOUT); zero: as the system has it.
  void set_user_timeout(std::chrono::milliseconds d);

  // Closing discards what is unsent and resets the connection if it takes longer; with zero it does so at
  // once.
  void set_linger(std::chrono::seconds d);

 private:
  friend class tcp_listener;
  explicit tcp_stream(detail::descriptor_ptr d) noexcept : stream_socket(std::move(d)) {}
};

struct listen_options {
  int backlog = 4096;         // connections that may wait to be accepted; the system has a limit of its own
  bool reuse_address = true;  // bind although connections of a former listener linger
  bool reuse_port = false;    // several listeners share the port, and the kernel deals connections out
  bool v6_only = true;        // "[::]" takes no IPv4 connections
};

// Accepts connections. From fibers of any worker and from plain threads, several at a time.
class tcp_listener : public descriptor_owner, public socket_calls<tcp_listener> {
 public:
  tcp_listener() noexcept = default;  // as if closed
  // Takes over a listening socket and makes it non-blocking.
  tcp_listener(from_fd_t, int fd);
  tcp_listener(tcp_listener&&) noexcept = default;
  tcp_listener& operator=(tcp_listener&&) noexcept = default;
  ~tcp_listener() = default;

  // Port 0 takes a free one; see local_address().
  static tcp_listener bind(const socket_address& to, const listen_options& options = {});
  static tcp_listener bind(const socket_address& to, const listen_options& options, std::error_code& ec);
  static tcp_listener bind(const socket_address& to, std::error_code& ec) { return bind(to, {}, ec); }
  // To the first address of a host that this machine has; a name is looked up, which may wait.
  static tcp_listener bind(std::string_view host, std::uint16_t port, const listen_options& options = {});
  static tcp_listener bind(std::string_view host, std::uint16_t port, const listen_options& options,
                           std::error_code& ec);
  static tcp_listener bind(std::string_view host, std::uint16_t port, std::error_code& ec) {
    return bind(host, port, {}, ec);
  }

  // Waits for a connection. Out of descriptors or memory it says so (errc::too_many_files_open and its like),
  // and the next call waits a little first, longer each time, so that a loop around it does not spin.
  tcp_stream accept();
  tcp_stream accept(std::error_code& ec);

 private:
  explicit tcp_listener(detail::descriptor_ptr d) noexcept : descriptor_owner(std::move(d)) {}

  detail::accept_backoff backoff_;
};

}  // namespace zsync
