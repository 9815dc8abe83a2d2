#include "common/load.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace samples {
namespace {

using namespace std::chrono_literals;

// More at once would overflow the server's queue of those to be accepted, and each overflow costs a second.
constexpr std::ptrdiff_t connecting_max = 256;
constexpr auto tick_interval = 500ms;
constexpr auto grace = 30s;  // for answers still due at the end: a busy machine may take a while

// Something that shows bytes that went astray.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i != size; ++i) text[i] = static_cast<char>('!' + (i * 31 + i / 94) % 94);
  return text;
}

}  // namespace

// Written by its own fiber only; `requests` may be read meanwhile.
struct load::client {
  std::atomic<std::uint64_t> requests{0};
  latency_histogram latency;

  void answered(std::chrono::nanoseconds after) {
    requests.store(requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    latency.record(after);
  }
};

// One of those that connect at the same time. It is over with its fiber at the latest, even if that never
// began, for lack of a stack.
class load::turn {
 public:
  explicit turn(zsync::counting_semaphore<>& taken_from) : from_(&taken_from) {}
  turn(turn&& other) noexcept : from_(std::exchange(other.from_, nullptr)) {}
  ~turn() {
    if (from_ != nullptr) from_->release();
  }

 private:
  zsync::counting_semaphore<>* from_;
};

double load_result::rate() const {
  const double seconds = std::chrono::duration<double>(elapsed).count();
  return seconds > 0 ? static_cast<double>(requests) / seconds : 0;
}

load::load(load_shape shape)
    : shape_(shape), requests_(pattern(shape.size * shape.pipeline)), connecting_(connecting_max) {}

load::~load() = default;

void load::connect(std::span<const zsync::socket_address> servers) {
  clients_.reserve(shape_.connections);
  for (std::size_t i = 0; i != shape_.connections; ++i) {
    clients_.push_back(std::make_unique<client>());
    connecting_.acquire();
    fibers_.spawn([this, self = clients_.back().get(), server = servers[i % servers.size()],
                   connecting = turn(connecting_)]() mutable { live(*self, server, std::move(connecting)); });
  }
  for (std::ptrdiff_t i = 0; i != connecting_max; ++i) connecting_.acquire();  // all have tried
  if (connected_ == 0) throw std::runtime_error(first_error_);
}

void load::live(client& self, const zsync::socket_address& server, turn connecting) try {
  zsync::tcp_stream stream = connect_to(server, std::move(connecting));
  ++connected_;
  stream.set_nodelay(true);
  start_.wait();
  while (!stop_.load(std::memory_order_relaxed)) exchange(self, stream);
} catch (const std::system_error& error) {
  fail(error.what());
}

zsync::tcp_stream load::connect_to(const zsync::socket_address& server, turn /*connecting*/) {
  try {
    return zsync::tcp_stream::connect(server);
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), "cannot connect to " + server.to_string());
  }
}

// Sends one batch and waits for its answers.
void load::exchange(client& self, zsync::tcp_stream& stream) {
  std::array<std::byte, 4096> buffer;
  const auto sent = zsync::clock::now();
  stream.write_all(requests_);
  std::size_t received = 0;
  while (received != requests_.size()) {
    // Into all of the buffer: a read that does not fill it tells the runtime that nothing is left to be read.
    const std::size_t n = stream.read(buffer);
    if (n == 0) throw std::system_error(make_error_code(zsync::error::unexpected_eof), "read");
    if (requests_.compare(received, n, reinterpret_cast<const char*>(buffer.data()), n) != 0) {
      throw std::system_error(make_error_code(std::errc::bad_message), "an answer differs from its request");
    }
    const std::size_t answers = (received + n) / shape_.size - received / shape_.size;
    received += n;
    const auto taken = zsync::clock::now() - sent;
    for (std::size_t i = 0; i != answers; ++i) self.answered(taken);
  }
}

void load::fail(const std::string& why) {
  ++errors_;
  std::lock_guard guard(first_error_guard_);
  if (first_error_.empty()) first_error_ = why;
}

void load::run(std::chrono::nanoseconds duration, const std::function<void()>& tick, load_result& result) {
  try {
    talk(duration, tick);
  } catch (const zsync::cancelled&) {
    stop_now();
    result = collect();
    throw;
  }
  result = collect();
}

void load::talk(std::chrono::nanoseconds duration, const std::function<void()>& tick) {
  started_ = zsync::clock::now();
  start_.count_down();
  const auto end = started_ + duration;
  while (zsync::clock::now() < end) {
    zsync::this_fiber::sleep_until(std::min(end, zsync::clock::now() + tick_interval));
    tick();
  }
  stop_ = true;
  try {
    zsync::timeout(grace, [this] { fibers_.wait(); });
  } catch (const std::system_error& late) {
    if (late.code() != std::errc::timed_out) throw;
    fail("answers were still due " + std::to_string(grace.count()) + " s after the end");
  }
}

// The clients write their figures until they have ended.
void load::stop_now() {
  const zsync::cancellation_shield to_the_end;
  fibers_.cancel();
  fibers_.wait();
}

std::uint64_t load::requests_so_far() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& each : clients_) sum += each->requests.load(std::memory_order_relaxed);
  return sum;
}

load_result load::collect() const {
  load_result result;
  result.connections = connected_;
  result.requests = requests_so_far();
  result.errors = errors_;
  result.first_error = first_error_;
  result.elapsed = zsync::clock::now() - started_;
  for (const auto& each : clients_) result.latency.merge(each->latency);
  return result;
}

}  // namespace samples
