// What the echo servers in plain C++ share: options, sockets, and telling the port.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace bench {

struct server_options {
  std::string mode;  // the first word: which of its ways of serving the program is to use
  unsigned workers = 1;
  std::size_t buffer = 512;  // twice the request, so that a request is a short read
  bool udp = false;
};

// `PROGRAM MODE [--workers N] [--size BYTES] [--udp]`, with as many descriptors as the system permits.
inline server_options parse_server(int argc, char** argv) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  server_options o;
  if (argc > 1) o.mode = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--udp")
      o.udp = true;
    else if (word == "--workers" && i + 1 < argc)
      o.workers = static_cast<unsigned>(std::atoi(argv[++i]));
    else if (word == "--size" && i + 1 < argc)
      o.buffer = std::max<std::size_t>(512, 2 * std::strtoul(argv[++i], nullptr, 10));
  }
  return o;
}

inline void tell_port(int port) {
  std::printf("{\"port\": %d}\n", port);
  std::fflush(stdout);
}

inline int port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

// Bound to `port` on the loopback interface (0: any free one); TCP sockets listen. Several may share a port.
inline int open_server(int type, int port, int flags) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC | flags, 0);
  int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      (type == SOCK_STREAM && listen(fd, 4096) != 0)) {
    std::perror("bind");
    std::exit(1);
  }
  return fd;
}

}  // namespace bench
