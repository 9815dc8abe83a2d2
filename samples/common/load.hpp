// A closed-loop load on an echo server: each of many connections sends, waits for the answer, sends again.
#pragma once

#include "common/latency_histogram.hpp"

#include <zsync/zsync.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace samples {

struct load_shape {
  std::size_t connections = 100;
  std::size_t size = 64;     // bytes of a request, and of its answer
  std::size_t pipeline = 1;  // requests that a connection sends before it waits for their answers
};

struct load_result {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;  // answered
  std::uint64_t errors = 0;    // connections that failed or broke, and answers that never came or were wrong
  std::string first_error;
  std::chrono::nanoseconds elapsed{};
  latency_histogram latency;  // from sending a batch of requests to each one's answer

  [[nodiscard]] double rate() const;  // requests a second
};

// Used by one fiber, which makes, uses and destroys it.
class load {
 public:
  explicit load(load_shape shape);
  ~load();

  // Opens the connections, in turn to each of `servers`, a fiber each. They idle until run(). Throws if not
  // a single one could be had.
  void connect(std::span<const zsync::socket_address> servers);

  // Lets them loose, calls `tick` from time to time, stops them and collects the answers still due. If it is
  // cancelled, it stops at once; `result` is filled in all the same.
  void run(std::chrono::nanoseconds duration, const std::function<void()>& tick, load_result& result);

  [[nodiscard]] std::uint64_t connections() const noexcept { return connected_; }
  [[nodiscard]] std::uint64_t requests_so_far() const noexcept;

 private:
  struct client;

  class turn;

  void live(client& self, const zsync::socket_address& server, turn connecting);
  void exchange(client& self, zsync::tcp_stream& stream);
  static zsync::tcp_stream connect_to(const zsync::socket_address& server, turn connecting);
  void fail(const std::string& why);
  void talk(std::chrono::nanoseconds duration, const std::function<void()>& tick);
  void stop_now();
  [[nodiscard]] load_result collect() const;  // once all have stopped

  load_shape shape_;
  std::string requests_;  // a batch of them; shared by all clients
  std::vector<std::unique_ptr<client>> clients_;
  zsync::counting_semaphore<> connecting_;  // how many more may try at the same time
  zsync::latch start_{1};
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> connected_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::mutex first_error_guard_;
  std::string first_error_;
  zsync::clock::time_point started_{};
  zsync::task_group fibers_;  // last, so that they end before what they use
};

}  // namespace samples
