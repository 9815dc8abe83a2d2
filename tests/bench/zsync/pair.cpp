// zsync: two fibers of one process that send 64 bytes there and back over a TCP connection. Not a row of the
// comparison, whose servers stand alone: here the instructions of a request are counted.
#include "common/meter.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <span>

namespace {

void pair(bench::meter& m, zsync::io_backend backend) {
  const long n = m.scaled(1'000'000);
  zsync::run(
      [&] {
        auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"));
        auto client = zsync::tcp_stream::connect(listener.local_address());
        zsync::fiber echo([server = listener.accept()]() mutable {
          std::array<std::byte, 512> buffer;
          while (std::size_t size = server.read(buffer)) server.write_all(std::span(buffer).first(size));
        });
        std::array<std::byte, 64> buffer{};
        m.start();
        for (long i = 0; i < n; ++i) {
          client.write_all(buffer);
          client.read_exact(buffer);
        }
        m.stop(n);
        client.close();
        echo.join();
      },
      {.workers = 1, .backend = backend});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv,
                    {{"pair-epoll", [](bench::meter& m) { pair(m, zsync::io_backend::epoll); }},
                     {"pair-io_uring", [](bench::meter& m) { pair(m, zsync::io_backend::io_uring); }}});
}
