// zsync: TCP and UDP echo, a fiber a connection. The mode names the backend.
#include "common/listen.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <memory>
#include <span>

namespace {

bench::server_options options;

void echo(zsync::tcp_stream& stream, std::span<std::byte> buffer) {
  std::error_code ec;
  for (;;) {
    const std::size_t size = stream.read(buffer, ec);
    if (ec || size == 0) return;
    stream.write_all(buffer.first(size), ec);
    if (ec) return;
  }
}

// Small requests need no memory but the fiber's own stack.
void serve(zsync::tcp_stream stream) {
  stream.set_nodelay(true);
  if (options.buffer <= 512) {
    std::array<std::byte, 512> buffer;
    return echo(stream, buffer);
  }
  const auto memory = std::make_unique_for_overwrite<std::byte[]>(options.buffer);
  echo(stream, std::span(memory.get(), options.buffer));
}

void echo_streams() {
  zsync::listen_options listening;
  listening.backlog = 4096;
  auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"), listening);
  bench::tell_port(listener.local_address().port());
  for (;;) zsync::fiber(serve, listener.accept()).detach();
}

void echo_datagrams() {
  auto socket = zsync::udp_socket::bind(zsync::socket_address::parse("127.0.0.1:0"));
  bench::tell_port(socket.local_address().port());
  static std::byte buffer[65536];
  zsync::socket_address from;
  for (;;) {
    const std::size_t size = socket.recv_from(buffer, from);
    socket.send_to(std::span(buffer).first(size), from);
  }
}

}  // namespace

int main(int argc, char** argv) {
  options = bench::parse_server(argc, argv);
  const auto backend = options.mode == "io_uring" ? zsync::io_backend::io_uring : zsync::io_backend::epoll;
  zsync::run(
      [] {
        if (options.udp) echo_datagrams();
        echo_streams();
      },
      {.workers = options.workers, .backend = backend});
}
