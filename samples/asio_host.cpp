// asio-host: a server of fibers in a program that runs an io_context of Asio.
#include "common/hosted_server.hpp"

#include <unistd.h>
#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>

namespace samples {
namespace {

class asio_host final : public event_host {
 public:
  void run(zsync::loop& fibers) override {
    fibers_ = &fibers;
    readable_.assign(::dup(fibers.native_handle()));  // Asio closes what it has
    wait_until_readable();
    count_seconds();
    turn();
    context_.run();
    readable_.close();
  }

  void stop() override { context_.stop(); }

 private:
  // Fibers run here, and nowhere else.
  void turn() {
    fibers_->poll();
    const auto next = fibers_->next_deadline();
    if (!next) {
      deadline_.cancel();
      return;
    }
    deadline_.expires_after(std::max<std::chrono::nanoseconds>(*next - zsync::clock::now(), {}));
    deadline_.async_wait([this](const asio::error_code& ec) {
      if (!ec) turn();
    });
  }

  void wait_until_readable() {
    readable_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& ec) {
      if (ec) return;
      turn();
      wait_until_readable();
    });
  }

  void count_seconds() {
    each_second_.expires_after(std::chrono::seconds{1});
    each_second_.async_wait([this](const asio::error_code& ec) {
      if (ec) return;
      ++seconds;
      count_seconds();
    });
  }

  asio::io_context context_{1};
  asio::posix::stream_descriptor readable_{context_};
  asio::steady_timer deadline_{context_};
  asio::steady_timer each_second_{context_};
  zsync::loop* fibers_ = nullptr;
};

}  // namespace

std::unique_ptr<sample> make_asio_host() {
  return std::make_unique<hosted_server>(
      []() -> std::unique_ptr<event_host> { return std::make_unique<asio_host>(); });
}

}  // namespace samples
