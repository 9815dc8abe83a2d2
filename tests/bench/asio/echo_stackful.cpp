// Boost.Asio with stackful coroutines (spawn), one io_context on however many threads.
#include "common/listen.hpp"

#include <boost/asio.hpp>
#include <boost/asio/spawn.hpp>

#include <thread>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;

int main(int argc, char** argv) {
  const bench::server_options options = bench::parse_server(argc, argv);
  asio::io_context context(static_cast<int>(options.workers));
  tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.listen(4096);
  bench::tell_port(acceptor.local_endpoint().port());

  const auto serve = [&](tcp::socket socket) {
    asio::spawn(
        context,
        [socket = std::move(socket), size = options.buffer](asio::yield_context yield) mutable {
          boost::system::error_code ec;
          socket.set_option(tcp::no_delay(true));
          std::vector<char> buffer(size);
          for (;;) {
            const std::size_t got = socket.async_read_some(asio::buffer(buffer), yield[ec]);
            if (ec) return;
            asio::async_write(socket, asio::buffer(buffer.data(), got), yield[ec]);
            if (ec) return;
          }
        },
        asio::detached);
  };
  asio::spawn(
      context,
      [&](asio::yield_context yield) {
        for (;;) {
          boost::system::error_code ec;
          tcp::socket socket(context);
          acceptor.async_accept(socket, yield[ec]);
          if (!ec) serve(std::move(socket));
        }
      },
      asio::detached);
  std::vector<std::thread> others;
  for (unsigned i = 1; i < options.workers; ++i) others.emplace_back([&] { context.run(); });
  context.run();
}
