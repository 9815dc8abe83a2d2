// The server of threads.cpp in fibers: the same calls, which suspend the fiber that makes them because the
// program is linked to zsync::interpose.
#include <zsync/zsync.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <system_error>

namespace {

// What all connections count together.
class figures {
 public:
  void came() {
    const std::lock_guard hold(mutex_);
    ++open_;
    if (open_ > most_) most_ = open_;
  }
  void went(std::uint64_t bytes) {
    const std::lock_guard hold(mutex_);
    --open_;
    bytes_ += bytes;
    if (open_ == 0) std::cout << most_ << " at once, " << bytes_ << " bytes so far" << std::endl;
  }

 private:
  zsync::mutex mutex_;
  int open_ = 0;
  int most_ = 0;
  std::uint64_t bytes_ = 0;
};

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

bool write_all(int fd, const char* from, std::size_t size) {
  while (size != 0) {
    const ssize_t n = ::write(fd, from, size);
    if (n <= 0) return false;
    from += n;
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

void serve(int fd, figures& all) {
  all.came();
  std::uint64_t bytes = 0;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0 || !write_all(fd, buffer, static_cast<std::size_t>(n))) break;
    bytes += static_cast<std::uint64_t>(n);
  }
  ::close(fd);
  all.went(bytes);
}

int listen_on(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (::listen(fd, SOMAXCONN) != 0) fail("listen");
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  std::cout << "listening on 127.0.0.1:" << ntohs(address.sin_port) << std::endl;
  return fd;
}

int run(std::uint16_t port) {
  figures all;
  const int listener = listen_on(port);
  for (;;) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd < 0) fail("accept");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    zsync::fiber([fd, &all] { serve(fd, all); }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  return zsync::run([port] { return run(port); });
}
