// The timers of one worker: two 4-ary heaps of deadlines whose nodes know their place.
//
// Nearly every timer is a timeout that is cancelled soon after it was added. So new ones go to a small young
// heap, where adding and cancelling touch a few lines of cache however many timers stand; when it is full,
// those that are left move to the old heap. Deadlines stand in the heaps' arrays beside the nodes' addresses.
// Where there is no memory for a larger array, a node stands in a list of its own making instead, which is
// slow, but neither early nor late. Not thread-safe: the queue belongs to its worker's thread.
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
  // Index in its heap, and in the highest bit which; or `unqueued`; or that it stands in the list. Kept by
  // the queue.
  std::uint32_t place = unqueued;

  // While it stands in the list; kept by the queue.
  timer_node* next_in_list;
  clock::time_point when_in_list;
};

// One heap. Adding is O(1) on average and O(log n) at worst, removing O(log n), the earliest O(1).
class timer_heap {
 public:
  struct entry {
    clock::time_point when;
    timer_node* node;
  };

  explicit timer_heap(std::uint32_t mark) noexcept : mark_(mark) {}

  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] const entry& earliest() const noexcept { return entries_.front(); }
  [[nodiscard]] const entry& last() const noexcept { return entries_.back(); }

  void reserve(std::size_t count);    // throws std::bad_alloc
  void add(const entry& e) noexcept;  // within what was reserved
  void remove(std::size_t place) noexcept;

 private:
  void put(std::size_t place, const entry& e) noexcept;
  void sift_up(std::size_t place, entry e) noexcept;
  void sift_down(std::size_t place, entry e) noexcept;

  std::vector<entry> entries_;
  const std::uint32_t mark_;  // set in the place of its nodes
};

class timer_queue {
 public:
  timer_queue() noexcept : young_(0), old_(old_mark) {}

  void add(timer_node& node, deadline when) noexcept;
  void cancel(timer_node& node) noexcept;  // nothing happens if it is not queued

  [[nodiscard]] deadline next() const noexcept {
    deadline first;
    if (!young_.empty()) first = deadline{young_.earliest().when};
    if (!old_.empty()) first = tightest(first, deadline{old_.earliest().when});
    if (list_ != nullptr) [[unlikely]]
      first = tightest(first, deadline{earliest_in_list().when_in_list});
    return first;
  }
  [[nodiscard]] bool empty() const noexcept { return young_.empty() && old_.empty() && list_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept;

  // Expires the timers that are due at `now`, at most `limit` of them so that a storm of equal deadlines
  // does not starve I/O. Returns how many it expired.
  std::size_t expire(clock::time_point now, std::size_t limit) noexcept;

 private:
  static constexpr std::uint32_t old_mark = std::uint32_t{1} << 31;
  static constexpr std::uint32_t in_list = timer_node::unqueued - 1;
  static constexpr std::size_t young_max = 64;

  void grow_old();
  [[nodiscard]] timer_node& earliest_in_list() const noexcept;
  void unlist(timer_node& node) noexcept;
  timer_node& take_earliest() noexcept;

  timer_heap young_;
  timer_heap old_;
  timer_node* list_ = nullptr;
};

}  // namespace zsync::detail
