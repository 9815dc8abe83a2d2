// libuv: one loop on one thread, as it is meant; the read buffer is shared, because a request is answered
// before the next read. A write is tried at once, and queued only if the socket is full.
#include "common/listen.hpp"

#include <uv.h>

#include <cstring>
#include <vector>

namespace {

bench::server_options options;
std::vector<char> shared;

void lend(uv_handle_t*, size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(shared.data(), static_cast<unsigned>(shared.size()));
}

void closed(uv_handle_t* handle) { delete reinterpret_cast<uv_tcp_t*>(handle); }

void written(uv_write_t* request, int) {
  delete[] static_cast<char*>(request->data);
  delete request;
}

void answer(uv_stream_t* stream, const char* data, std::size_t size) {
  uv_buf_t all = uv_buf_init(const_cast<char*>(data), static_cast<unsigned>(size));
  const int sent = uv_try_write(stream, &all, 1);
  if (sent == static_cast<int>(size)) return;
  const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  auto* rest = new char[size - done];
  std::memcpy(rest, data + done, size - done);
  auto* request = new uv_write_t;
  request->data = rest;
  uv_buf_t left = uv_buf_init(rest, static_cast<unsigned>(size - done));
  uv_write(request, stream, &left, 1, written);
}

void received(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  if (size > 0)
    answer(stream, buffer->base, static_cast<std::size_t>(size));
  else if (size < 0)
    uv_close(reinterpret_cast<uv_handle_t*>(stream), closed);
}

void connected(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* client = new uv_tcp_t;
  uv_tcp_init(listener->loop, client);
  if (uv_accept(listener, reinterpret_cast<uv_stream_t*>(client)) != 0) {
    uv_close(reinterpret_cast<uv_handle_t*>(client), closed);
    return;
  }
  uv_tcp_nodelay(client, 1);
  uv_read_start(reinterpret_cast<uv_stream_t*>(client), lend, received);
}

void datagram(uv_udp_t* socket, ssize_t size, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
  if (size <= 0 || !from) return;
  const uv_buf_t all = uv_buf_init(buffer->base, static_cast<unsigned>(size));
  uv_udp_try_send(socket, &all, 1, from);
}

}  // namespace

int main(int argc, char** argv) {
  options = bench::parse_server(argc, argv);
  shared.resize(options.udp ? 65536 : options.buffer);
  uv_loop_t* loop = uv_default_loop();
  if (options.udp) {
    uv_udp_t socket;
    uv_udp_init(loop, &socket);
    uv_udp_open(&socket, bench::open_server(SOCK_DGRAM, 0, SOCK_NONBLOCK));
    int fd = 0;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&socket), &fd);
    bench::tell_port(bench::port_of(fd));
    uv_udp_recv_start(&socket, lend, datagram);
    return uv_run(loop, UV_RUN_DEFAULT);
  }
  uv_tcp_t listener;
  uv_tcp_init(loop, &listener);
  sockaddr_in address{};
  uv_ip4_addr("127.0.0.1", 0, &address);
  uv_tcp_bind(&listener, reinterpret_cast<sockaddr*>(&address), 0);
  uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, connected);
  int fd = 0;
  uv_fileno(reinterpret_cast<uv_handle_t*>(&listener), &fd);
  bench::tell_port(bench::port_of(fd));
  return uv_run(loop, UV_RUN_DEFAULT);
}
