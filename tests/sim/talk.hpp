// An echo server on a host of its own and some clients, who check what comes back.
#pragma once

#include "support/catch.hpp"

#include <zsync/io/sim/simulation.hpp>
#include <zsync/zsync.hpp>

#include <cstddef>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <vector>

namespace zsync::test {

struct talk {
  int clients = 3;
  int messages = 4;
  std::size_t size = 100;
  int answered = 0;

  static void echo(tcp_stream s) {
    std::vector<std::byte> buffer(256);
    std::error_code ec;
    for (;;) {
      const std::size_t n = s.read(buffer, ec);
      if (ec || n == 0) return;
      s.write_all(std::span(buffer).first(n), ec);
      if (ec) return;
    }
  }

  static void serve(tcp_listener& listener) {
    task_group connections;
    for (;;) {
      std::error_code ec;
      tcp_stream s = listener.accept(ec);
      if (ec == error::closed || ec == std::errc::operation_canceled) break;
      if (ec) continue;
      connections.spawn([c = std::move(s)]() mutable { echo(std::move(c)); });
    }
    connections.wait();
  }

  void call(std::string_view host) {
    tcp_stream s = tcp_stream::connect(host, 7);
    std::vector<std::byte> sent(size);
    std::vector<std::byte> back(size);
    for (int i = 0; i < messages; ++i) {
      for (std::size_t k = 0; k < size; ++k)
        sent[k] = static_cast<std::byte>(k + static_cast<std::size_t>(i));
      // At the same time: where both ends only write, a small window is full for ever.
      auto writing = spawn([&] { s.write_all(sent); });
      s.read_exact(back);
      writing.join();
      if (sent != back) throw std::runtime_error("something else came back");
    }
    ++answered;
  }

  // `faults(server, here)` may spoil what lies between them.
  template <class F>
  void with(F faults) {
    const sim::host server = sim::add_host("server");
    tcp_listener listener;
    event up;
    fiber<> serving = server.spawn([&] {
      listener = tcp_listener::bind({ip_address::any_v4(), 7});
      up.set();
      serve(listener);
    });
    up.wait();
    faults(server, sim::here());
    task_group calls;
    for (int i = 0; i < clients; ++i) calls.spawn([this] { call("server"); });
    calls.wait();
    listener.close();
    serving.join();
  }

  void operator()() {
    with([](const sim::host&, const sim::host&) {});
  }
};

}  // namespace zsync::test
