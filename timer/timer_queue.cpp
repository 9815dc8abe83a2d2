#include <zsync/timer/timer_queue.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace zsync::detail {
namespace {

constexpr std::size_t arity = 4;

}  // namespace

void timer_heap::reserve(std::size_t count) {
  if (count > entries_.capacity()) entries_.reserve(std::max(count, 2 * entries_.capacity()));
}

void timer_heap::add(const entry& e) noexcept {
  entries_.push_back(e);
  sift_up(entries_.size() - 1, e);
}

void timer_heap::remove(std::size_t place) noexcept {
  entries_[place].node->place = timer_node::unqueued;
  const entry last = entries_.back();
  entries_.pop_back();
  if (place == entries_.size()) return;
  if (place > 0 && last.when < entries_[(place - 1) / arity].when) {
    sift_up(place, last);
  } else {
    sift_down(place, last);
  }
}

void timer_heap::put(std::size_t place, const entry& e) noexcept {
  entries_[place] = e;
  e.node->place = static_cast<std::uint32_t>(place) | mark_;
}

void timer_heap::sift_up(std::size_t place, entry e) noexcept {
  while (place > 0) {
    const std::size_t parent = (place - 1) / arity;
    if (entries_[parent].when <= e.when) break;
    put(place, entries_[parent]);
    place = parent;
  }
  put(place, e);
}

void timer_heap::sift_down(std::size_t place, entry e) noexcept {
  for (;;) {
    const std::size_t first = place * arity + 1;
    if (first >= entries_.size()) break;
    const std::size_t last = std::min(first + arity, entries_.size());
    std::size_t least = first;
    for (std::size_t child = first + 1; child < last; ++child) {
      if (entries_[child].when < entries_[least].when) least = child;
    }
    if (e.when <= entries_[least].when) break;
    put(place, entries_[least]);
    place = least;
  }
  put(place, e);
}

void timer_queue::add(timer_node& node, deadline when) noexcept try {
  if (young_.size() == young_max) grow_old();
  young_.reserve(young_max);
  young_.add({when.time(), &node});
} catch (const std::bad_alloc&) {
  node.place = in_list;
  node.when_in_list = when.time();
  node.next_in_list = std::exchange(list_, &node);
}

// Those that were not cancelled in time will probably stay.
void timer_queue::grow_old() {
  old_.reserve(old_.size() + young_max);
  while (!young_.empty()) {
    const timer_heap::entry e = young_.last();
    young_.remove(young_.size() - 1);
    old_.add(e);
  }
}

void timer_queue::cancel(timer_node& node) noexcept {
  if (!node.queued()) return;
  if (node.place == in_list) [[unlikely]]
    return unlist(node);
  ((node.place & old_mark) != 0 ? old_ : young_).remove(node.place & ~old_mark);
}

std::size_t timer_queue::size() const noexcept {
  std::size_t listed = 0;
  for (const timer_node* n = list_; n != nullptr; n = n->next_in_list) ++listed;
  return young_.size() + old_.size() + listed;
}

timer_node& timer_queue::earliest_in_list() const noexcept {
  timer_node* first = list_;
  for (timer_node* n = list_; n != nullptr; n = n->next_in_list) {
    if (n->when_in_list < first->when_in_list) first = n;
  }
  return *first;
}

void timer_queue::unlist(timer_node& node) noexcept {
  timer_node** at = &list_;
  while (*at != &node) at = &(*at)->next_in_list;
  *at = node.next_in_list;
  node.place = timer_node::unqueued;
}

timer_node& timer_queue::take_earliest() noexcept {
  timer_heap& heap =
      old_.empty() || (!young_.empty() && young_.earliest().when <= old_.earliest().when) ? young_ : old_;
  if (list_ != nullptr) [[unlikely]] {
    timer_node& listed = earliest_in_list();
    if (heap.empty() || listed.when_in_list < heap.earliest().when) {
      unlist(listed);
      return listed;
    }
  }
  timer_node& first = *heap.earliest().node;
  heap.remove(0);
  return first;
}

std::size_t timer_queue::expire(clock::time_point now, std::size_t limit) noexcept {
  std::size_t expired = 0;
  while (expired < limit && next().time() <= now && !empty()) {
    timer_node& due = take_earliest();
    due.expired(due);
    ++expired;
  }
  return expired;
}

}  // namespace zsync::detail
