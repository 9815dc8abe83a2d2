// libuv-host: a server of fibers in a program that runs libuv's loop.
#include "common/hosted_server.hpp"

#include <uv.h>

#include <algorithm>
#include <system_error>

namespace samples {
namespace {

void check(int status) {
  if (status != 0) throw std::system_error(-status, std::system_category(), "libuv");
}

class libuv_host final : public event_host {
 public:
  libuv_host() {
    check(::uv_loop_init(&loop_));
    loop_.data = this;
    check(::uv_async_init(&loop_, &stop_, [](uv_async_t* told) { ::uv_stop(told->loop); }));
    check(::uv_timer_init(&loop_, &deadline_));
    check(::uv_timer_init(&loop_, &each_second_));
  }

  ~libuv_host() override {
    ::uv_walk(
        &loop_,
        [](uv_handle_t* one, void*) {
          if (::uv_is_closing(one) == 0) ::uv_close(one, nullptr);
        },
        nullptr);
    ::uv_run(&loop_, UV_RUN_DEFAULT);
    ::uv_loop_close(&loop_);
  }

  void run(zsync::loop& fibers) override {
    fibers_ = &fibers;
    check(::uv_poll_init(&loop_, &readable_, fibers.native_handle()));
    check(::uv_poll_start(&readable_, UV_READABLE, [](uv_poll_t* one, int, int) { self(one->loop).turn(); }));
    check(::uv_timer_start(
        &each_second_, [](uv_timer_t* one) { ++self(one->loop).seconds; }, 1000, 1000));
    turn();
    ::uv_run(&loop_, UV_RUN_DEFAULT);
    ::uv_close(reinterpret_cast<uv_handle_t*>(&readable_), nullptr);  // before the descriptor is
  }

  void stop() override { ::uv_async_send(&stop_); }

 private:
  static libuv_host& self(uv_loop_t* of) { return *static_cast<libuv_host*>(of->data); }

  // Fibers run here, and nowhere else.
  void turn() {
    fibers_->poll();
    const auto next = fibers_->next_deadline();
    if (!next) {
      ::uv_timer_stop(&deadline_);
      return;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - zsync::clock::now()).count();
    ::uv_update_time(&loop_);
    ::uv_timer_start(
        &deadline_, [](uv_timer_t* one) { self(one->loop).turn(); },
        static_cast<std::uint64_t>(std::max<std::int64_t>(left, 0)), 0);
  }

  uv_loop_t loop_{};
  uv_async_t stop_{};
  uv_poll_t readable_{};
  uv_timer_t deadline_{};
  uv_timer_t each_second_{};
  zsync::loop* fibers_ = nullptr;
};

}  // namespace

std::unique_ptr<sample> make_libuv_host() {
  return std::make_unique<hosted_server>(
      []() -> std::unique_ptr<event_host> { return std::make_unique<libuv_host>(); });
}

}  // namespace samples
