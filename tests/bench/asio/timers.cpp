// Asio (standalone), timers with completion handlers: no stack, so its figures are those of the timer queue.
#include "common/meter.hpp"

#include <asio.hpp>

#include <chrono>
#include <memory>
#include <random>

namespace {

using namespace std::chrono_literals;

void sleeps(bench::meter& m) {
  const long n = m.scaled(1'000'000);
  asio::io_context context(1);
  std::minstd_rand random(1);
  std::int64_t latest = 0;
  m.start();
  for (long i = 0; i < n; ++i) {
    const std::int64_t delay = random() % 1'000'000'000;
    const std::int64_t due = bench::now_ns() + delay;
    auto timer = std::make_unique<asio::steady_timer>(context, std::chrono::nanoseconds(delay));
    asio::steady_timer& armed = *timer;
    armed.async_wait([timer = std::move(timer), due, &latest](std::error_code) {
      latest = std::max(latest, bench::now_ns() - due);
    });
  }
  context.run();
  m.stop(n);
  m.extra("latest_ms", static_cast<double>(latest) / 1e6);
}

void timer_cancel(bench::meter& m) {
  asio::io_context context(1);
  std::vector<std::unique_ptr<asio::steady_timer>> standing;
  for (long i = 0; i < m.scaled(100'000); ++i) {
    const auto delay = 30s + 600us * (i * 7919 % 100'000);
    standing.push_back(std::make_unique<asio::steady_timer>(context, delay));
    standing.back()->async_wait([](std::error_code) {});
  }
  const long n = m.scaled(2'000'000);
  asio::steady_timer timer(context);
  m.start();
  for (long i = 0; i < n; ++i) {
    timer.expires_after(60s);
    timer.async_wait([](std::error_code) {});
    timer.cancel();
    if (i % 64 == 63) context.poll();  // runs the handlers of the cancelled waits
  }
  m.stop(n);
  m.print();
  std::_Exit(0);
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run(argc, argv, {{"sleeps", sleeps, false}, {"timer-cancel", timer_cancel, false}});
}
