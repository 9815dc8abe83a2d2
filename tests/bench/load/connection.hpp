// One client socket of the load generator.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct connection {
  connection(int port, bool udp) { open(port, udp); }
  ~connection() { close(fd); }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  void reopen(int port, bool udp) {
    close(fd);
    open(port, udp);
  }

  // Waits where the socket is full: the answer will come, and only then is there more to do.
  bool send_all(const char* data, std::size_t size) {
    while (size != 0) {
      const ssize_t sent = ::send(fd, data, size, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno == EINTR) continue;
        return false;
      }
      data += sent;
      size -= static_cast<std::size_t>(sent);
    }
    return true;
  }

  int fd = -1;
  std::size_t left = 0;  // bytes of the answer that have not come
  std::int64_t sent_at = 0;

 private:
  // Closed connections hold their port for a minute, so the source address moves on within 127.0.0.0/8.
  void open(int port, bool udp) {
    static std::uint32_t next_source = 0;
    fd = socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    int one = 1;
    if (!udp) {
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
      sockaddr_in source{};
      source.sin_family = AF_INET;
      source.sin_addr.s_addr = htonl(0x7f000101U + (next_source++ & 0xff) * 256U);
      if (bind(fd, reinterpret_cast<sockaddr*>(&source), sizeof source) != 0) fail("bind");
    }
    sockaddr_in server{};
    server.sin_family = AF_INET;
    server.sin_port = htons(static_cast<std::uint16_t>(port));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&server), sizeof server) != 0) fail("connect");
  }
};

}  // namespace bench
