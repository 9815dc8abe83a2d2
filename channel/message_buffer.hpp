// What a channel holds between a send and a receive: a queue of bounded size, or one that grows.
//
// A list of rings. A bounded channel has exactly one. One that grows gets another, twice as large, when its
// last is full, and drops its first once that has drained; so in a steady state it is one ring as well, and a
// message never moves between its arrival and its departure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <utility>

namespace zsync::detail {

// Guarded by the lock of the channel that owns it.
template <class T>
class message_buffer {
 public:
  class ring {
   public:
    explicit ring(std::size_t capacity) : capacity_(capacity), slots_(allocate(capacity)) {}
    ring(const ring&) = delete;
    ring& operator=(const ring&) = delete;
    [[gnu::noinline]] ~ring() {
      while (size_ != 0) pop();
      if (slots_ != nullptr) ::operator delete (slots_, std::align_val_t{alignof(T)});
    }

    [[nodiscard]] bool full() const noexcept { return size_ == capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] T& front() noexcept { return slots_[head_]; }

    void push(T&& value) {
      std::size_t place = head_ + size_;
      if (place >= capacity_) place -= capacity_;
      std::construct_at(slots_ + place, std::move(value));
      ++size_;
    }
    void pop() noexcept {
      std::destroy_at(slots_ + head_);
      if (++head_ == capacity_) head_ = 0;
      --size_;
    }

    std::unique_ptr<ring> next;

   private:
    static T* allocate(std::size_t count) {
      if (count == 0) return nullptr;
      if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length();
      return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{alignof(T)}));
    }

    std::size_t capacity_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
    T* slots_;
  };

  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

  explicit message_buffer(std::size_t capacity)
      : grows_(capacity == unbounded),
        first_(std::make_unique<ring>(grows_ ? ring_size_min : capacity)),
        last_(first_.get()) {}

  ~message_buffer() {
    while (first_) first_ = std::move(first_->next);  // not by recursion, however many rings there are
  }

  [[nodiscard]] bool has_room() const noexcept { return !last_->full(); }
  [[nodiscard]] bool grows() const noexcept { return grows_; }
  [[nodiscard]] bool empty() const noexcept { return first_->empty(); }
  [[nodiscard]] std::size_t next_ring_size() const noexcept {
    return std::min(last_->capacity() * 2, ring_size_max);
  }

  // Needs room. If T's constructor throws, nothing has changed.
  void push(T&& value) { last_->push(std::move(value)); }

  [[nodiscard]] T& front() noexcept { return first_->front(); }

  // Returns a ring that has drained: to be destroyed once the lock is released.
  std::unique_ptr<ring> pop() noexcept {
    first_->pop();
    if (!first_->empty() || !first_->next) [[likely]]
      return nullptr;
    std::unique_ptr<ring> drained = std::move(first_);
    first_ = std::move(drained->next);
    return drained;
  }

  void add(std::unique_ptr<ring> more) noexcept {
    last_->next = std::move(more);
    last_ = last_->next.get();
  }

 private:
  static constexpr std::size_t ring_size_min = 16;
  static constexpr std::size_t ring_size_max = 4096;

  const bool grows_;
  std::unique_ptr<ring> first_;
  ring* last_;
};

}  // namespace zsync::detail
