// zsync::use_fiber, with either Asio: who includes this has named it `net` and made `failure` its exception.
#pragma once

#include "support/in_fiber.hpp"

#include <zsync/sched/scope.hpp>
#include <zsync/sched/task_group.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace {

namespace test = zsync::test;
using namespace std::chrono_literals;
using tcp = net::ip::tcp;

// Threads that run an io_context.
class running {
 public:
  explicit running(int threads = 1) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { context.run(); });
  }
  ~running() {
    work_.reset();
    for (auto& one : threads_) one.join();
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;

  net::io_context context;

 private:
  net::executor_work_guard<net::io_context::executor_type> work_ = net::make_work_guard(context);
  std::vector<std::thread> threads_;
};

// A client and a server in fibers, each of which writes after it has read.
void talk(net::io_context& in) {
  tcp::acceptor acceptor(in, tcp::endpoint(net::ip::address_v4::loopback(), 0));
  zsync::fiber<std::string> server([&] {
    tcp::socket peer = acceptor.async_accept(zsync::use_fiber);
    std::string said(4, '\0');
    CHECK(net::async_read(peer, net::buffer(said), zsync::use_fiber) == 4);
    net::async_write(peer, net::buffer("pong", 4), zsync::use_fiber);
    return said;
  });
  tcp::socket client(in);
  client.async_connect(acceptor.local_endpoint(), zsync::use_fiber);
  CHECK(net::async_write(client, net::buffer("ping", 4), zsync::use_fiber) == 4);
  std::array<char, 16> answer{};
  std::size_t got = 0;
  while (got < 4) got += client.async_read_some(net::buffer(answer) + got, zsync::use_fiber);
  CHECK(std::string(answer.data(), got) == "pong");
  CHECK(server.join() == "ping");
  error_code ec;
  CHECK(client.async_read_some(net::buffer(answer), net::redirect_error(zsync::use_fiber, ec)) == 0);
  CHECK(ec == net::error::eof);
  const auto nobody = acceptor.local_endpoint();
  acceptor.close();
  client.close();
  try {
    client.async_connect(nobody, zsync::use_fiber);
    FAIL("nobody is there any more");
  } catch (const failure& refused) {
    CHECK(refused.code() == net::error::connection_refused);
  }
}

void check_results() {
  running asio;
  net::steady_timer soon(asio.context, 1ms);
  soon.async_wait(zsync::use_fiber);
  CHECK(soon.expiry() <= std::chrono::steady_clock::now());
  // Of a program's own operations too.
  const auto several = net::async_initiate<const zsync::use_fiber_t, void(int, std::string)>(
      [&](auto handler) {
        net::post(asio.context, [h = std::move(handler)]() mutable { h(7, std::string("seven")); });
      },
      zsync::use_fiber);
  CHECK(several == std::tuple(7, std::string("seven")));
  const auto thrown = [&] {
    net::async_initiate<const zsync::use_fiber_t, void(std::exception_ptr)>(
        [](auto handler) { handler(std::make_exception_ptr(7)); }, zsync::use_fiber);
  };
  CHECK_THROWS_AS(thrown(), int);
  net::post(asio.context, zsync::use_fiber);
  soon.expires_after(1ms);
  soon.async_wait(net::bind_executor(asio.context, zsync::use_fiber));
}

// Whatever is interrupted can be used again, and its buffer is free.
void check_cancellation() {
  running asio(2);
  net::steady_timer later(asio.context, 1h);
  for (int i = 0; i < 20; ++i) {
    zsync::fiber<> waits([&] { later.async_wait(zsync::use_fiber); });
    for (int k = 0; k < i % 3; ++k) zsync::this_fiber::yield();
    waits.cancel();
    CHECK_THROWS_AS(waits.join(), zsync::cancelled);
  }
  {
    const zsync::deadline_scope limit(1ms);
    try {
      later.async_wait(zsync::use_fiber);
      FAIL("an hour has passed");
    } catch (const std::system_error& expired) {
      CHECK(expired.code() == zsync::error::deadline_expired);
    }
    error_code ec;
    later.async_wait(net::redirect_error(zsync::use_fiber, ec));
    CHECK(ec == net::error::operation_aborted);
  }
  tcp::acceptor acceptor(asio.context, tcp::endpoint(net::ip::address_v4::loopback(), 0));
  tcp::socket one(asio.context);
  one.connect(acceptor.local_endpoint());
  tcp::socket other = acceptor.accept();
  for (int i = 0; i < 20; ++i) {
    auto buffer = std::make_unique<std::array<char, 100>>();
    zsync::fiber<> reads([&] { net::async_read(one, net::buffer(*buffer), zsync::use_fiber); });
    for (int k = 0; k < i % 3; ++k) zsync::this_fiber::yield();
    reads.cancel();
    CHECK_THROWS_AS(reads.join(), zsync::cancelled);
  }
  net::write(other, net::buffer("all of it", 9));
  std::string said(9, '\0');
  CHECK(net::async_read(one, net::buffer(said), zsync::use_fiber) == 9);
  CHECK(said == "all of it");
  // Somebody else's cancellation is an error like others.
  zsync::fiber<> waits([&] { later.async_wait(zsync::use_fiber); });
  zsync::this_fiber::sleep_for(1ms);
  std::size_t ended = 0;
  while (ended == 0) {
    net::post(asio.context, [&] { ended = later.cancel(); });
    net::post(asio.context, zsync::use_fiber);
    zsync::this_fiber::sleep_for(1ms);
  }
  CHECK_THROWS_AS(waits.join(), failure);
}

void check_end_of_context() {
  auto context = std::make_unique<net::io_context>();
  auto never = std::make_unique<net::steady_timer>(*context, 1h);
  zsync::fiber<> waits([&] { never->async_wait(zsync::use_fiber); });
  zsync::this_fiber::yield();
  std::atomic<bool> gone = false;
  std::thread ends([&] {
    never.release();  // as if it lived for ever: its service ends it with the context
    context.reset();
    gone = true;
  });
  CHECK_THROWS_AS(waits.join(), failure);
  ends.join();
  CHECK(gone);
}

void check_crowd() {
  running asio(2);
  std::atomic<int> through = 0, cancelled = 0;
  zsync::task_group group;
  for (int i = 0; i < 200; ++i) {
    group.spawn([&, i] {
      net::steady_timer timer(asio.context, std::chrono::microseconds{i * 10});
      zsync::fiber<> waits([&] { timer.async_wait(zsync::use_fiber); });
      if (i % 2 != 0) zsync::this_fiber::sleep_for(std::chrono::microseconds{i * 10});
      if (i % 3 == 0) waits.cancel();
      try {
        waits.join();
        ++through;
      } catch (const zsync::cancelled&) {
        ++cancelled;
      }
    });
  }
  group.wait();
  CHECK(through + cancelled == 200);
}

void check_plain_thread() {
  running asio;
  net::steady_timer soon(asio.context, 1ms);
  soon.async_wait(zsync::use_fiber);
  soon.expires_after(1h);
  const zsync::deadline_scope limit(1ms);
  CHECK_THROWS_AS(soon.async_wait(zsync::use_fiber), std::system_error);
}

void check_use_fiber() {
  test::in_fiber({.policies = true}, [] {
    {
      running asio;
      talk(asio.context);
    }
    check_results();
    check_cancellation();
    check_end_of_context();
    check_crowd();
  });
  check_plain_thread();
}

}  // namespace
