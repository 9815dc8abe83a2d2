// What a range-for over a receiver goes by.
#pragma once

#include <cstddef>
#include <iterator>
#include <optional>

namespace zsync::detail {

// Each step destroys the message before, and receives the next; the end is reached when the channel is closed
// and drained. The receiver's next(message) fills an empty optional.
template <class Receiver, class T>
class receive_iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = T;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = T&;

  explicit receive_iterator(Receiver& from) : from_(&from) { from.next(message_); }
  T& operator*() const noexcept { return *message_; }
  T* operator->() const noexcept { return &*message_; }
  receive_iterator& operator++() {
    message_.reset();
    from_->next(message_);
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const receive_iterator& at, std::default_sentinel_t) noexcept {
    return !at.message_;
  }

 private:
  Receiver* from_;
  mutable std::optional<T> message_;
};

}  // namespace zsync::detail
