// Making sockets and setting their options; what the classes for TCP, UDP and unix sockets share.
#pragma once

#include <zsync/io/descriptor.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/socket_address.hpp>

#include <system_error>

namespace zsync {

enum shutdown_how { shutdown_receive = SHUT_RD, shutdown_send = SHUT_WR, shutdown_both = SHUT_RDWR };

// Says that a constructor takes over an open descriptor.
struct from_fd_t {
  explicit from_fd_t() = default;
};
inline constexpr from_fd_t from_fd{};

namespace detail {

// Non-blocking and closed on exec. Empty, with an error, if there can be none.
descriptor_ptr make_socket(int family, int type, descriptor_kind kind, std::error_code& ec);

// Connects it, waiting within the write timeout.
void connect_socket(descriptor& d, const socket_address& to, std::error_code& ec);

// Accepts, and keeps a loop around it from spinning when descriptors or memory have run out: a connection
// that cannot be taken stays in the queue and would be found at once. Several fibers may use one at a time.
class accept_backoff {
 public:
  accept_backoff() noexcept = default;
  accept_backoff(accept_backoff&& other) noexcept : pause_(other.pause_.load(std::memory_order_relaxed)) {}
  accept_backoff& operator=(accept_backoff&& other) noexcept {
    pause_.store(other.pause_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    return *this;
  }

  // Waits for the next connection and returns its descriptor, or -1. Skips connections that were gone before
  // they could be taken.
  int accept(const descriptor_ptr& d, std::error_code& ec);

 private:
  std::atomic<clock::rep> pause_{0};  // nanoseconds before the next attempt
};

void bind_socket(descriptor& d, const socket_address& to, std::error_code& ec);
void shut_down(const descriptor_ptr& d, shutdown_how how, std::error_code& ec);

socket_address local_address(const descriptor_ptr& d, std::error_code& ec);
socket_address peer_address(const descriptor_ptr& d, std::error_code& ec);

void set_option(const descriptor_ptr& d, int level, int name, const void* value, socklen_t size,
                std::error_code& ec);
inline void set_option(const descriptor_ptr& d, int level, int name, int value, std::error_code& ec) {
  set_option(d, level, name, &value, sizeof value, ec);
}
int get_option(const descriptor_ptr& d, int level, int name, std::error_code& ec);

}  // namespace detail

// What every socket has. `Socket` owns a descriptor; see descriptor_owner.
template <class Socket>
class socket_calls {
 public:
  [[nodiscard]] socket_address local_address(std::error_code& ec) const {
    return detail::local_address(d(), ec);
  }
  [[nodiscard]] socket_address local_address() const {
    std::error_code ec;
    socket_address a = local_address(ec);
    detail::throw_if(ec, "local_address");
    return a;
  }

  // Of what it is connected to.
  [[nodiscard]] socket_address peer_address(std::error_code& ec) const {
    return detail::peer_address(d(), ec);
  }
  [[nodiscard]] socket_address peer_address() const {
    std::error_code ec;
    socket_address a = peer_address(ec);
    detail::throw_if(ec, "peer_address");
    return a;
  }

  // Bytes that the kernel may hold; it doubles and bounds what is asked for.
  void set_send_buffer_size(int bytes) { set(SOL_SOCKET, SO_SNDBUF, bytes, "set_send_buffer_size"); }
  void set_receive_buffer_size(int bytes) { set(SOL_SOCKET, SO_RCVBUF, bytes, "set_receive_buffer_size"); }

 protected:
  void set(int level, int name, int value, const char* what) {
    std::error_code ec;
    detail::set_option(d(), level, name, value, ec);
    detail::throw_if(ec, what);
  }

 private:
  [[nodiscard]] const detail::descriptor_ptr& d() const noexcept {
    return static_cast<const Socket*>(this)->stream_descriptor();
  }
};
}  // namespace zsync
