// The limit for a server over epoll, level- or edge-triggered: one loop a thread, no fibers, no allocation
// but one small block a connection. Answers are written at once; what the socket does not take is waited for.
#include "common/listen.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <thread>
#include <vector>

namespace {

bench::server_options options;
bool edge;

class loop {
 public:
  explicit loop(int listener) : listener_(listener), buffer_(options.buffer) {
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    add(listener, EPOLLIN);
  }

  void run() {
    epoll_event events[256];
    for (;;) {
      const int n = epoll_wait(poll_, events, 256, -1);
      for (int i = 0; i < n; ++i) {
        if (events[i].data.fd == listener_)
          accept_all();
        else
          serve(events[i].data.fd);
      }
    }
  }

 private:
  void add(int fd, std::uint32_t interest) {
    epoll_event event{};
    event.events = interest;
    event.data.fd = fd;
    epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
  }

  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      int one = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      add(fd, edge ? EPOLLIN | EPOLLET : EPOLLIN);
    }
  }

  void serve(int fd) {
    for (;;) {
      const ssize_t got = recv(fd, buffer_.data(), buffer_.size(), 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) {
        close(fd);
        return;
      }
      send_all(fd, static_cast<std::size_t>(got));
      // A short read emptied the socket, and whatever comes later brings an edge of its own.
      if (!edge || static_cast<std::size_t>(got) < buffer_.size()) return;
    }
  }

  void send_all(int fd, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
      const ssize_t sent = send(fd, buffer_.data() + done, size - done, MSG_NOSIGNAL);
      if (sent >= 0)
        done += static_cast<std::size_t>(sent);
      else if (errno != EAGAIN)
        return;
    }
  }

  int listener_;
  int poll_;
  std::vector<char> buffer_;
};

[[noreturn]] void echo_datagrams() {
  const int fd = bench::open_server(SOCK_DGRAM, 0, SOCK_NONBLOCK);
  bench::tell_port(bench::port_of(fd));
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
  static char buffer[65536];
  for (;;) {
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (got < 0)
      epoll_wait(poll, &event, 1, -1);
    else
      sendto(fd, buffer, static_cast<std::size_t>(got), 0, reinterpret_cast<sockaddr*>(&from), length);
  }
}

}  // namespace

int main(int argc, char** argv) {
  options = bench::parse_server(argc, argv);
  edge = options.mode == "edge";
  if (options.udp) echo_datagrams();
  std::vector<int> listeners;
  int port = 0;
  for (unsigned i = 0; i < options.workers; ++i) {
    listeners.push_back(bench::open_server(SOCK_STREAM, port, SOCK_NONBLOCK));
    port = bench::port_of(listeners[0]);
  }
  std::vector<std::thread> others;
  for (unsigned i = 1; i < options.workers; ++i) others.emplace_back([fd = listeners[i]] { loop(fd).run(); });
  bench::tell_port(port);
  loop(listeners[0]).run();
}
