// Asio (standalone), completion handlers, one io_context on however many threads: its own examples' way.
#include "common/listen.hpp"

#include <asio.hpp>

#include <memory>
#include <thread>
#include <vector>

namespace {

using asio::ip::tcp;
using asio::ip::udp;
bench::server_options options;

class session : public std::enable_shared_from_this<session> {
 public:
  explicit session(tcp::socket socket) : socket_(std::move(socket)), buffer_(options.buffer) {
    socket_.set_option(tcp::no_delay(true));
  }
  void read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](std::error_code ec, std::size_t size) {
                              if (!ec) self->write(size);
                            });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_.data(), size),
                      [self = shared_from_this()](std::error_code ec, std::size_t) {
                        if (!ec) self->read();
                      });
  }

  tcp::socket socket_;
  std::vector<char> buffer_;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](std::error_code ec, tcp::socket socket) {
    if (!ec) std::make_shared<session>(std::move(socket))->read();
    accept(acceptor);
  });
}

struct datagrams {
  udp::socket socket;
  udp::endpoint from{};
  char buffer[65536];

  void receive() {
    socket.async_receive_from(asio::buffer(buffer), from, [this](std::error_code ec, std::size_t size) {
      if (ec) return receive();
      socket.async_send_to(asio::buffer(buffer, size), from,
                           [this](std::error_code, std::size_t) { receive(); });
    });
  }
};

}  // namespace

int main(int argc, char** argv) {
  options = bench::parse_server(argc, argv);
  asio::io_context context(static_cast<int>(options.workers));
  const auto loopback = asio::ip::address_v4::loopback();
  if (options.udp) {
    datagrams server{udp::socket(context, udp::endpoint(loopback, 0))};
    bench::tell_port(server.socket.local_endpoint().port());
    server.receive();
    context.run();
  }
  tcp::acceptor acceptor(context, tcp::endpoint(loopback, 0));
  acceptor.listen(4096);
  bench::tell_port(acceptor.local_endpoint().port());
  accept(acceptor);
  std::vector<std::thread> others;
  for (unsigned i = 1; i < options.workers; ++i) others.emplace_back([&] { context.run(); });
  context.run();
}
