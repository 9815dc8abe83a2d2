// The bytes choose who goes on, at each step with a choice, in a simulated talk of clients and a server.
#include "fuzz/input.hpp"

#include <zsync/io/sim/simulation.hpp>
#include <zsync/zsync.hpp>

#include <array>
#include <string>
#include <vector>

using namespace zsync;

namespace {

constexpr int clients = 3;

void serve(tcp_listener& listener) {
  task_group connections;
  for (std::error_code ec;;) {
    tcp_stream peer = listener.accept(ec);
    if (ec) break;
    connections.spawn([s = std::move(peer)]() mutable {
      std::array<std::byte, 32> buffer{};
      while (const std::size_t n = s.read(buffer)) s.write_all(std::span(buffer).first(n));
    });
  }
  connections.wait();
}

void talk() {
  const sim::host server = sim::add_host("server");
  tcp_listener listener;
  server.spawn([&] { listener = tcp_listener::bind({ip_address::any_v4(), 7}); }).join();
  auto serving = server.spawn([&] { serve(listener); });
  auto [tx, rx] = channel<int>(1);
  mutex lock;
  task_group callers;
  for (int i = 0; i < clients; ++i) {
    callers.spawn([&, &out = tx, i] {
      auto s = tcp_stream::connect("server", 7);
      const std::string said = "client " + std::to_string(i);
      s.write_all(said);
      s.shutdown(shutdown_send);
      fuzz::expect(s.read_all() == said, "something else came back");
      const std::lock_guard hold(lock);
      out.send(i);
    });
  }
  int sum = 0;
  for (int i = 0; i < clients; ++i) sum += *rx.recv();
  fuzz::expect(sum == clients * (clients - 1) / 2, "a message is lost or doubled");
  callers.wait();
  listener.close();
  serving.join();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sim::options how;
  if (size != 0) how.seed = 1 + data[0];
  for (std::size_t i = 1; i < size; ++i) how.schedule.push_back(data[i]);
  sim::run(how, talk);
  return 0;
}
