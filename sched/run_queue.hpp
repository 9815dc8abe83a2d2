// The three queues of a worker: what it runs next, what others may take from it, what others give it.
#pragma once

#include <zsync/fiber/atomic.hpp>
#include <zsync/fiber/control.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace zsync::detail {

// First in, first out; the worker's own thread only. Intrusive: a fiber stands in one queue at most.
class ready_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }
  [[nodiscard]] fiber_control* front() const noexcept { return head_; }

  void push_back(fiber_control& f) noexcept {
    f.next = nullptr;
    if (head_ == nullptr) {
      head_ = &f;
    } else {
      tail_->next = &f;
    }
    tail_ = &f;
  }

  void push_front(fiber_control& f) noexcept {
    if (head_ == nullptr) tail_ = &f;
    f.next = head_;
    head_ = &f;
  }

  // One that stands in it; takes as long as it is far from the front.
  void remove(fiber_control& f) noexcept {
    fiber_control* before = nullptr;
    for (fiber_control* at = head_; at != &f; at = at->next) before = at;
    (before == nullptr ? head_ : before->next) = f.next;
    if (tail_ == &f) tail_ = before;
  }

  void take_all(ready_queue& other) noexcept {
    if (other.head_ == nullptr) return;
    (head_ == nullptr ? head_ : tail_->next) = other.head_;
    tail_ = other.tail_;
    other.head_ = nullptr;
  }

  fiber_control* pop_front() noexcept {
    fiber_control* const first = head_;
    if (first != nullptr) head_ = first->next;
    return first;
  }

 private:
  plain<fiber_control*> head_ = nullptr;
  plain<fiber_control*> tail_ = nullptr;
};

// What other threads give to a worker: any of them pushes, the worker takes all at once. A Treiber stack
// without its ABA problem, because nobody pops single nodes.
class inbox {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  // Any thread. Sequentially consistent: pairs with the worker's look before it falls asleep.
  void push(fiber_control& f) noexcept {
    fiber_control* old = head_.load(std::memory_order_relaxed);
    do {
      f.next = old;
    } while (!head_.compare_exchange_weak(old, &f, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  // The worker. A list through `next`, oldest first.
  fiber_control* take_all() noexcept {
    fiber_control* newest = head_.exchange(nullptr, std::memory_order_acquire);
    fiber_control* oldest_first = nullptr;
    while (newest != nullptr) {
      fiber_control* const older = newest->next;
      newest->next = oldest_first;
      oldest_first = newest;
      newest = older;
    }
    return oldest_first;
  }

 private:
  atomic<fiber_control*> head_{nullptr};
};

// A work-stealing deque: the owner pushes and pops the youngest, anybody takes the oldest.
//
// Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005), with the memory orders of Lê, Pop,
// Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak memory models" (PPoPP 2013).
// [top, bottom) holds the elements. The owner moves bottom, and whoever wins a compare-and-swap moves top;
// for the last element the owner competes like a thief. Arrays that were outgrown live on until the
// deque dies, because a thief may still read them: their sizes add up to less than the newest one.
class stealing_deque {
 public:
  // `capacity`: of its first array, a power of two.
  explicit stealing_deque(std::int64_t capacity = 256);
  ~stealing_deque();

  // Owner. Throws std::bad_alloc, and then has not changed.
  void push(fiber_control& f);
  fiber_control* pop_youngest() noexcept { return empty() ? nullptr : pop_some(); }
  // Owner. It may be taken by somebody else at any time.
  [[nodiscard]] bool youngest_is(const fiber_control& f) const noexcept;

  // Any thread. nullptr: empty, or somebody else was quicker.
  fiber_control* take_oldest() noexcept { return empty() ? nullptr : take_some(); }

  // Any thread; a moment's truth.
  [[nodiscard]] std::size_t size() const noexcept {
    const auto bottom = bottom_.load(std::memory_order_relaxed);
    const auto top = top_.load(std::memory_order_relaxed);
    return bottom > top ? static_cast<std::size_t>(bottom - top) : 0;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

  // Owner, before the first push: nobody else will ever take anything, so popping needs no fence.
  void never_shared() noexcept { shared_ = false; }

 private:
  struct array;

  fiber_control* pop_some() noexcept;
  fiber_control* take_some() noexcept;
  array* grow(array& old, std::int64_t top, std::int64_t bottom);

  alignas(64) atomic<std::int64_t> top_{0};
  alignas(64) atomic<std::int64_t> bottom_{0};
  atomic<array*> array_;
  bool shared_ = true;
  std::vector<std::unique_ptr<array>> arrays_;  // all that ever were; the owner
};

}  // namespace zsync::detail
