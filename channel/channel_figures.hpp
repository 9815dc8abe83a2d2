// The figures of a channel that do not depend on the type of its messages, as dumps show them.
#pragma once

#include <zsync/sched/spinlock.hpp>

#include <atomic>
#include <cstddef>

namespace zsync::detail {

class channel_figures {
 public:
  channel_figures(const channel_figures&) = delete;
  channel_figures& operator=(const channel_figures&) = delete;

  // Answered without the lock: true of a moment that may have passed.
  [[nodiscard]] bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

 protected:
  explicit channel_figures(std::size_t capacity) noexcept : capacity_(capacity) {}
  ~channel_figures() = default;

  spinlock lock_;
  // Written under the lock; read without it by the questions above, which is why they are atomic. `closed_`
  // is stored with release and loaded with acquire: a caller that finds the channel closed also sees what was
  // done before the close.
  std::atomic<bool> closed_{false};
  std::atomic<bool> senders_waiting_{false};    // somebody waits to send
  std::atomic<bool> receivers_waiting_{false};  // somebody waits to receive
  std::atomic<std::size_t> size_{0};            // messages in the buffer
  const std::size_t capacity_;
};

}  // namespace zsync::detail
