#include "sim/talk.hpp"

#include <chrono>
#include <set>
#include <string>

namespace {

using namespace zsync;
using namespace zsync::test;
using namespace std::chrono_literals;

// Each test is a few hundred runs; ZSYNC_SIM_SEEDS=1000000 makes them as many as that.
constexpr std::uint64_t seeds = 300;

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

TEST_CASE("streams arrive whole and in order over links that lose, split and delay", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    t.size = 1000;
    t.with([](const sim::host& a, const sim::host& b) {
      sim::between(a, b).loss(0.1).short_writes(0.5).window(64 + sim::random(512)).latency(1us, 10ms);
    });
    require(t.answered == t.clients, "not all were answered");
  });
}

TEST_CASE("a reset in the midst is an error at both ends and leaves nothing behind", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    int failed = 0;
    try {
      t.with([](const sim::host& a, const sim::host& b) {
        sim::between(a, b).reset_after(1 + sim::random(400));
      });
    } catch (const std::system_error& e) {
      ++failed;
      require(e.code() == std::errc::connection_reset || e.code() == std::errc::broken_pipe ||
                  e.code() == error::unexpected_eof,
              e.what());
    }
    require(failed == 1, "nobody was reset");
  });
}

TEST_CASE("a server goes on though its accepts fail", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    t.messages = 1;
    int failed = 0;
    const auto client = [&] {
      try {
        t.call("server");
      } catch (const std::system_error&) {
        ++failed;  // its connection was aborted
      }
    };
    t.clients = 0;
    t.with([&](const sim::host& server, const sim::host&) {
      server.accept_failures(0.3);
      task_group g;
      for (int i = 0; i < 5; ++i) g.spawn(client);
      g.wait();
    });
    require(t.answered + failed == 5, "somebody is missing");
  });
}

TEST_CASE("out of descriptors a server recovers when some are closed", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    t.clients = 8;
    t.with([](const sim::host& server, const sim::host&) { server.descriptors_max(3); });
    require(t.answered == 8, "not all were answered");
  });
}

TEST_CASE("a cut link delays streams until it is mended, and fails them if that takes too long", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    bool patient = sim::random(2) == 0;
    bool failed = false;
    try {
      t.with([&](const sim::host& a, const sim::host& b) {
        spawn([a, b, patient] {
          this_fiber::sleep_for(std::chrono::microseconds(sim::random(500)));
          sim::between(a, b).cut(patient ? 1h : 1s);
          this_fiber::sleep_for(1min);
          sim::between(a, b).mend();
        }).detach();
      });
    } catch (const std::system_error& e) {
      failed = true;
      require(e.code() == std::errc::timed_out || e.code() == std::errc::connection_reset, e.what());
    }
    require(!patient || !failed, "it was to wait");
  });
}

TEST_CASE("a deadline ends a read that nobody answers, in simulated time", "[sim]") {
  sim::explore({}, seeds, [] {
    const sim::host silent = sim::add_host("silent");
    auto listening = silent.spawn([] {
      auto l = tcp_listener::bind({ip_address::any_v4(), 9});
      auto s = l.accept();
      this_fiber::sleep_for(2h);
    });
    this_fiber::sleep_for(1ms);
    auto s = tcp_stream::connect("silent", 9);
    const auto before = zsync::clock::now();
    const deadline_scope scope(1h);
    std::byte b[1];
    std::error_code ec;
    static_cast<void>(s.read(b, ec));
    require(ec == error::deadline_expired, "no deadline");
    require(zsync::clock::now() - before >= 1h && zsync::clock::now() - before < 1h + 1ms, "not at its time");
  });
}

TEST_CASE("nobody listens, nobody is there, nobody answers: connect says which", "[sim]") {
  sim::explore({}, seeds, [] {
    const sim::host there = sim::add_host("there");
    const auto attempt = [](const socket_address& to) {
      std::error_code ec;
      static_cast<void>(tcp_stream::connect(to, ec));
      return ec;
    };
    require(attempt({there.address(), 1}) == std::errc::connection_refused, "refused");
    require(attempt({ip_address::v4({10, 9, 9, 9}), 1}) == std::errc::network_unreachable, "unreachable");
    sim::between(sim::here(), there).cut(10s);
    require(attempt({there.address(), 1}) == std::errc::timed_out, "timed out");
    std::error_code ec;
    static_cast<void>(tcp_stream::connect("nowhere", 1, ec));
    require(ec == error::no_such_host, "no such host");
  });
}

TEST_CASE("who is bound to the loopback is not heard from elsewhere", "[sim]") {
  sim::explore({}, seeds, [] {
    const sim::host there = sim::add_host("there");
    there
        .spawn([&] {
          auto inside = tcp_listener::bind({ip_address::loopback_v4(), 80});
          auto outside = tcp_listener::bind({sim::here().address(), 80});  // one port, two addresses
          static_cast<void>(tcp_stream::connect({ip_address::loopback_v4(), 80}));
          outside.close();
          std::error_code ec;
          static_cast<void>(tcp_stream::connect({sim::here().address(), 80}, ec));
          require(ec == std::errc::connection_refused, "heard by its own address");
        })
        .join();
  });
}

TEST_CASE("a window that grows lets go on who waits for room", "[sim]") {
  sim::explore({}, seeds, [] {
    talk t;
    t.with([](const sim::host& a, const sim::host& b) {
      sim::between(a, b).window(10);
      spawn([a, b] {
        this_fiber::sleep_for(std::chrono::microseconds(sim::random(500)));
        sim::between(a, b).window(1000);
      }).detach();
    });
    require(t.answered == t.clients, "not all were answered");
  });
}

TEST_CASE("datagrams get lost, come twice and overtake each other, but are whole", "[sim]") {
  std::set<std::string> seen;
  sim::explore({}, seeds, [&] {
    const sim::host there = sim::add_host("there");
    sim::between(sim::here(), there).loss(0.2).duplicates(0.2).latency(1us, 1ms);
    udp_socket receiver;
    auto bound = there.spawn([&] { receiver = udp_socket::bind({ip_address::any_v4(), 5}); });
    bound.join();
    std::string order;
    std::uint16_t sender = 0;
    const sim::host main = sim::here();
    auto receiving = there.spawn([&] {
      std::byte b[8];
      std::error_code ec;
      for (;;) {
        socket_address from;
        const std::size_t n = receiver.recv_from(b, from, ec);
        if (ec) return;
        require(n == 1, "a part of a datagram");
        require(from.ip() == sim::host(main).address() && from.port() == sender, "from somebody else");
        order += static_cast<char>(b[0]);
      }
    });
    auto s = udp_socket::bind({ip_address::any_v4(), 0});
    sender = s.local_address().port();
    for (char c = '0'; c < '4'; ++c) s.send_to(std::as_bytes(std::span(&c, 1)), {there.address(), 5});
    this_fiber::sleep_for(10ms);
    receiving.cancel();
    receiving.join();
    seen.insert(order);
  });
  CHECK(seen.contains("0123"));
  CHECK(seen.size() > 20);
}

TEST_CASE("close at any step wakes the reader and the peer, and numbers are reused", "[sim]") {
  sim::explore({}, seeds * 3, [] {
    const sim::host server = sim::add_host("server");
    tcp_listener listener;
    server.spawn([&] { listener = tcp_listener::bind({ip_address::any_v4(), 7}); }).join();
    auto accepting = server.spawn([&] {
      for (int i = 0; i < 3; ++i) {
        auto s = listener.accept();
        std::byte b[16];
        std::error_code ec;
        while (s.read(b, ec) != 0 && !ec) s.write_all(b, ec);
      }
    });
    for (int i = 0; i < 3; ++i) {
      auto s = tcp_stream::connect("server", 7);
      auto reader = spawn([&] {
        std::byte b[16];
        std::error_code ec;
        std::size_t n = 1;
        while (!ec && n != 0) n = s.read(b, ec);
        require(ec == error::closed || ec == std::errc::connection_reset, ec.message().c_str());
      });
      std::error_code ec;
      const std::byte some[5]{};
      for (std::uint64_t k = sim::random(4); k != 0; --k) s.write_all(some, ec);
      for (std::uint64_t k = sim::random(6); k != 0; --k)
        this_fiber::sleep_for(std::chrono::microseconds(sim::random(80)));
      s.close();
      reader.join();
    }
    accepting.join();
  });
}

TEST_CASE("a read that is cancelled at any step either has its bytes or leaves them", "[sim]") {
  sim::explore({}, seeds * 3, [] {
    const sim::host server = sim::add_host("server");
    tcp_listener listener;
    server.spawn([&] { listener = tcp_listener::bind({ip_address::any_v4(), 7}); }).join();
    auto sending = server.spawn([&] {
      auto s = listener.accept();
      for (int i = 0; i < 10; ++i) {
        const auto b = static_cast<std::byte>(i);
        s.write_all(std::span(&b, 1));
        this_fiber::sleep_for(std::chrono::microseconds(sim::random(50)));
      }
    });
    auto s = tcp_stream::connect("server", 7);
    int next = 0;
    const auto take = [&](std::error_code& ec) {
      std::byte b[4];
      const std::size_t n = s.read(b, ec);
      for (std::size_t i = 0; i < n; ++i) require(static_cast<int>(b[i]) == next++, "a byte is missing");
      return n;
    };
    for (int i = 0; i < 10; ++i) {
      auto reader = spawn([&] {
        std::error_code ec;
        static_cast<void>(take(ec));
      });
      this_fiber::sleep_for(std::chrono::microseconds(sim::random(60)));
      reader.cancel();
      reader.join();
    }
    std::error_code ec;
    while (take(ec) != 0) {
    }
    require(next == 10, "bytes are missing at the end");
    sending.join();
  });
}

TEST_CASE("unix streams and pairs work within a host", "[sim]") {
  sim::explore({}, seeds, [] {
    auto listener = unix_listener::bind("/run/a");
    auto accepting = spawn([&] {
      auto s = listener.accept();
      std::byte b[4];
      s.read_exact(b);
      s.write_all(b);
    });
    auto s = unix_stream::connect("/run/a");
    const std::byte sent[4]{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    std::byte back[4];
    s.write_all(sent);
    s.read_exact(back);
    require(std::equal(sent, sent + 4, back), "something else came back");
    accepting.join();
  });
}

}  // namespace
