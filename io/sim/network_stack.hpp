// The simulated kernel's sockets: what their calls do, and what arrives when. Not a public header.
#pragma once

#include <zsync/io/sim/sockets.hpp>

#include <memory>
#include <string_view>
#include <vector>

namespace zsync::detail::simulated {

class world;

// For calls, which say what went wrong as the kernel does, and give back names and bytes into what they are
// given.
int failed(int error) noexcept;
void put_name(const socket_address& a, sockaddr* name, socklen_t* size) noexcept;
std::size_t scatter(std::string_view bytes, const msghdr& m) noexcept;  // how many found room

class network_stack final : public simulated_network {
 public:
  explicit network_stack(world& in) noexcept : world_(in) {}

  int open(int family, int type) noexcept override;
  int open_pair(int family, int type, int (&ends)[2]) noexcept override;
  int bind(int fd, const sockaddr* to, socklen_t size) noexcept override;
  int listen(int fd, int backlog) noexcept override;
  int connect(int fd, const sockaddr* to, socklen_t size) noexcept override;
  int accept(int fd, sockaddr* from, socklen_t* size) noexcept override;
  ssize_t receive(int fd, msghdr& m, int flags) noexcept override;
  ssize_t send(int fd, const msghdr& m, int flags) noexcept override;
  int shut_down(int fd, int how) noexcept override;
  int close(int fd) noexcept override;
  int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept override;
  int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept override;
  int own_name(int fd, sockaddr* name, socklen_t* size) noexcept override;
  int peer_name(int fd, sockaddr* name, socklen_t* size) noexcept override;
  short ready(int fd, short events) noexcept override;
  std::vector<socket_address> look_up(std::string_view name, std::error_code& ec) override;

  [[nodiscard]] socket_ptr find(int fd) const noexcept;
  // While it lives, that number means that socket: for what the kernel does with a socket that it holds,
  // though its number may be another's by now.
  class lending {
   public:
    lending(network_stack& of, int fd, socket_ptr s) noexcept : of_(of) {
      of_.lent_fd_ = fd;
      of_.lent_ = std::move(s);
    }
    ~lending() { of_.lent_.reset(); }
    lending(const lending&) = delete;
    lending& operator=(const lending&) = delete;

   private:
    network_stack& of_;
  };

  void mend(link_state& l);

 private:
  int install(const socket_ptr& s);
  int bind_to(const socket_ptr& s, socket_address to);
  void unbind(socket& s) noexcept;
  socket_ptr bound_to(const host_state& h, int type, const socket_address& to) const;
  bool find_port(host_state& h, int type, socket_address& to) const;
  host_state* owner_of(const host_state& from, const ip_address& ip) const noexcept;
  void edge(const socket_ptr& s, bool in, bool out, bool ended = false);

  // What travels. On a cut link it waits.
  void travel(const socket_ptr& from, const char* name, std::function<void(const socket_ptr&)> arrival);
  void pass(link_state& l, std::function<void()> arrival, const socket_ptr& on_failure = nullptr);
  void fail(const socket_ptr& s, int error);
  void reset(const socket_ptr& s);   // and the other end hears of it
  void reject(const socket_ptr& s);  // what this has sent came to nobody
  void send_end(const socket_ptr& s);

  int connect_stream(const socket_ptr& s, host_state& there);
  int connect_path(const socket_ptr& s, const socket_address& to);
  void knock(const socket_ptr& s, host_state& there);
  socket_ptr answer(const socket_ptr& s, const socket_ptr& listener);
  ssize_t send_stream(const socket_ptr& s, const msghdr& m);
  ssize_t send_datagram(const socket_ptr& s, const msghdr& m);
  void arrive(const socket_ptr& from, const socket_ptr& to, std::string_view bytes);
  void deliver(const socket_ptr& from, host_state& there, const socket_address& to, std::string bytes);
  ssize_t receive_stream(const socket_ptr& s, msghdr& m, int flags);
  ssize_t receive_datagram(const socket_ptr& s, msghdr& m, int flags);
  void finish(const socket_ptr& s);

  world& world_;
  std::vector<socket_ptr> table_;  // by number
  int lent_fd_ = -1;
  socket_ptr lent_;
};

}  // namespace zsync::detail::simulated
