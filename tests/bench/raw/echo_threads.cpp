// A thread for each connection, with blocking calls: what fibers replace.
#include "common/listen.hpp"

#include <memory>
#include <thread>

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server(argc, argv);
  const int listener = bench::open_server(SOCK_STREAM, 0, 0);
  bench::tell_port(bench::port_of(listener));
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    std::thread([fd, size = options.buffer] {
      const auto buffer = std::make_unique<char[]>(size);
      for (;;) {
        const ssize_t got = recv(fd, buffer.get(), size, 0);
        if (got <= 0) break;
        for (ssize_t done = 0; done < got;) {
          const ssize_t sent =
              send(fd, buffer.get() + done, static_cast<std::size_t>(got - done), MSG_NOSIGNAL);
          if (sent <= 0) break;
          done += sent;
        }
      }
      close(fd);
    }).detach();
  }
}
