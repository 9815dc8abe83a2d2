// Uses a little of everything, and is compiled with more warnings than most programs.
#include <zsync/zsync.hpp>

#include <chrono>
#include <iostream>
#include <string>

int main() {
  using namespace std::chrono_literals;
  const std::string answer = zsync::run([] {
    auto listener = zsync::tcp_listener::bind(zsync::socket_address::parse("127.0.0.1:0"));
    auto [tx, rx] = zsync::channel<std::string>(1);
    zsync::fiber<void> server([&listener, &out = tx] {
      auto peer = listener.accept();
      out.send(peer.read_all());
    });
    auto client = zsync::tcp_stream::connect(listener.local_address());
    client.write_all("pong");
    client.shutdown(zsync::shutdown_send);
    const zsync::deadline_scope limit(5s);
    auto received = rx.recv();
    server.join();
    return received.value_or("nothing");
  });
  std::cout << answer << '\n';
  return answer == "pong" ? 0 : 1;
}
