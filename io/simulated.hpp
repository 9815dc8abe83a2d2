// What a simulation (io/sim) answers in the kernel's place. Its sockets' numbers have a bit that none of the
// kernel's have, so that kernel.cpp tells them apart by one comparison. Not a public header.
#pragma once

#include <zsync/sched/simulator.hpp>

#include <sys/socket.h>
#include <sys/types.h>

#include <string_view>
#include <system_error>
#include <vector>

namespace zsync {
class socket_address;
}

namespace zsync::detail {

inline constexpr int simulated_bit = 1 << 30;

inline bool is_simulated(int fd) noexcept { return fd >= simulated_bit; }

// The calls as those of the kernel do, with -1 and errno if they fail, and nothing blocks.
class simulated_network {
 public:
  virtual int open(int family, int type) noexcept = 0;
  virtual int open_pair(int family, int type, int (&ends)[2]) noexcept = 0;
  virtual int bind(int fd, const sockaddr* to, socklen_t size) noexcept = 0;
  virtual int listen(int fd, int backlog) noexcept = 0;
  virtual int connect(int fd, const sockaddr* to, socklen_t size) noexcept = 0;
  virtual int accept(int fd, sockaddr* from, socklen_t* size) noexcept = 0;
  virtual ssize_t receive(int fd, msghdr& m, int flags) noexcept = 0;
  virtual ssize_t send(int fd, const msghdr& m, int flags) noexcept = 0;
  virtual int shut_down(int fd, int how) noexcept = 0;
  virtual int close(int fd) noexcept = 0;
  virtual int get_option(int fd, int level, int name, void* value, socklen_t* size) noexcept = 0;
  virtual int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept = 0;
  virtual int own_name(int fd, sockaddr* name, socklen_t* size) noexcept = 0;
  virtual int peer_name(int fd, sockaddr* name, socklen_t* size) noexcept = 0;
  virtual short ready(int fd, short events) noexcept = 0;  // what poll(2) would report

  // The addresses of that name; none if nothing has it. By a fiber, whom it may keep waiting.
  virtual std::vector<socket_address> look_up(std::string_view name, std::error_code& ec) = 0;

  // Of the simulation that runs on the calling thread; nullptr where none does.
  static simulated_network* of_thread() noexcept;

  // The same for a number that is simulated. Ends the process with a message where no simulation runs, for
  // the number has escaped from one.
  static simulated_network& of(int fd) noexcept;

 protected:
  ~simulated_network() = default;
};

// A simulation that has one.
class simulated_machine : public simulator {
 public:
  virtual simulated_network& network() noexcept = 0;

 protected:
  ~simulated_machine() = default;
};

}  // namespace zsync::detail
