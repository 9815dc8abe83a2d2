#include <zsync/timer/timer_queue.hpp>

namespace zsync::detail {
namespace {

constexpr std::size_t arity = 4;

}  // namespace

void timer_queue::add(timer_node& node, deadline when) {
  heap_.push_back({when.time(), &node});
  sift_up(heap_.size() - 1, heap_.back());
}

void timer_queue::cancel(timer_node& node) noexcept {
  if (node.queued()) remove(node.place);
}

std::size_t timer_queue::expire(clock::time_point now, std::size_t limit) noexcept {
  std::size_t expired = 0;
  while (expired < limit && !heap_.empty() && heap_.front().when <= now) {
    timer_node& due = *heap_.front().node;
    remove(0);
    due.expired(due);
    ++expired;
  }
  return expired;
}

void timer_queue::put(std::size_t place, const entry& e) noexcept {
  heap_[place] = e;
  e.node->place = static_cast<std::uint32_t>(place);
}

// Takes a copy: `e` may stand in the array that is being shifted.
void timer_queue::sift_up(std::size_t place, const entry& moved) noexcept {
  const entry e = moved;
  while (place > 0) {
    const std::size_t parent = (place - 1) / arity;
    if (heap_[parent].when <= e.when) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, e);
}

void timer_queue::sift_down(std::size_t place, const entry& moved) noexcept {
  const entry e = moved;
  for (;;) {
    const std::size_t first = place * arity + 1;
    if (first >= heap_.size()) break;
    const std::size_t last = std::min(first + arity, heap_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < last; ++child) {
      if (heap_[child].when < heap_[least].when) least = child;
    }
    if (e.when <= heap_[least].when) break;
    put(place, heap_[least]);
    place = least;
  }
  put(place, e);
}

void timer_queue::remove(std::size_t place) noexcept {
  heap_[place].node->place = timer_node::unqueued;
  const entry last = heap_.back();
  heap_.pop_back();
  if (place == heap_.size()) return;
  if (place > 0 && last.when < heap_[(place - 1) / arity].when) {
    sift_up(place, last);
  } else {
    sift_down(place, last);
  }
}

}  // namespace zsync::detail
