// The timers of one worker: a 4-ary heap of deadlines whose nodes know their place.
//
// Adding is O(1) on average and O(log n) at worst, cancelling O(log n), the next deadline O(1). Deadlines
// stand in the heap's array beside the node's address, so that sifting does not touch the nodes, which
// live on the stacks of parked fibers. Not thread-safe: the queue belongs to its worker's thread.
#pragma once

#include <zsync/timer/deadline.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace zsync::detail {

// Lives with whoever waits, and leaves the queue before it dies.
struct timer_node {
  static constexpr std::uint32_t unqueued = ~std::uint32_t{0};

  // Called once the deadline has passed, never early, with the node already out of its queue.
  using callback = void (*)(timer_node&) noexcept;

  explicit timer_node(callback on_expiry) noexcept : expired(on_expiry) {}
  timer_node(const timer_node&) = delete;
  timer_node& operator=(const timer_node&) = delete;

  [[nodiscard]] bool queued() const noexcept { return place != unqueued; }

  callback expired;
  std::uint32_t place = unqueued;  // index in the heap; kept by the queue
};

class timer_queue {
 public:
  // Throws std::bad_alloc, and then has not changed.
  void add(timer_node& node, deadline when);
  void cancel(timer_node& node) noexcept;  // nothing happens if it is not queued

  [[nodiscard]] deadline next() const noexcept {
    return heap_.empty() ? deadline::never() : deadline{heap_.front().when};
  }
  [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

  // Expires the timers that are due at `now`, at most `limit` of them so that a storm of equal deadlines
  // does not starve I/O. Returns how many it expired.
  std::size_t expire(clock::time_point now, std::size_t limit) noexcept;

 private:
  struct entry {
    clock::time_point when;
    timer_node* node;
  };

  void put(std::size_t place, const entry& e) noexcept;
  void sift_up(std::size_t place, const entry& e) noexcept;
  void sift_down(std::size_t place, const entry& e) noexcept;
  void remove(std::size_t place) noexcept;

  std::vector<entry> heap_;
};

}  // namespace zsync::detail
