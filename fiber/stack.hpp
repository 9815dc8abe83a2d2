// Stacks for fibers: carved from slabs of address space, guarded below, and reused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

namespace zsync::detail {

class fiber_control;
class worker;

// Who uses a stack, for those who have to find all fibers: one for each stack, beside its slab. Written by
// the worker that runs the fiber, read by any under the pool's lock, in for_each_slot(): the fiber that is
// found there is whole, if its home is the reader's own worker, or may have moved from there meanwhile; for a
// fiber that may move is destroyed only after its stack was released, which takes that lock.
struct stack_slot {
  std::atomic<fiber_control*> owner{nullptr};
  std::atomic<worker*> home{nullptr};
};

// A piece of address space that a fiber runs on. Below `bottom` lies its guard. A value; stack_pool owns
// the memory.
struct stack {
  std::byte* bottom = nullptr;  // lowest usable address
  std::byte* top = nullptr;     // where the first frame starts: the end of the memory less its colour
  stack_slot* slot = nullptr;

  [[nodiscard]] explicit operator bool() const noexcept { return bottom != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(top - bottom); }
};

// How much of a stack was ever touched, in bytes from its top: counts resident pages, so it is exact to a
// page and costs a system call.
std::size_t touched_bytes(const stack& memory) noexcept;

// Thread-safe. Memory goes back to the kernel when the pool dies; earlier the touched pages of deep stacks,
// and all of those that were not needed for a while.
class stack_pool {
 public:
  static constexpr std::size_t guard_size = 64 * 1024;
  static constexpr std::size_t size_min = 16 * 1024;
  static constexpr std::size_t size_max = std::size_t{1} << 30;

  stack_pool();
  ~stack_pool();
  stack_pool(const stack_pool&) = delete;
  stack_pool& operator=(const stack_pool&) = delete;

  // What a request for `size` bytes yields: the next power of two within the limits.
  static std::size_t rounded(std::size_t size) noexcept;

  // A stack of rounded(size) bytes. An empty one if the kernel gives no more memory.
  [[nodiscard]] stack allocate(std::size_t size) noexcept;
  void release(const stack& memory) noexcept;  // it is nobody's from here on, its slot says

  // The kernel refused the last request, nothing has been released since, and it still refuses one of that
  // size.
  [[nodiscard]] bool exhausted(std::size_t size) noexcept {
    return exhausted_.load(std::memory_order_relaxed) && !recovers(size);
  }
  // Somebody keeps a stack for the next one, rather than releasing it.
  void note_kept() noexcept {
    if (exhausted_.load(std::memory_order_relaxed)) exhausted_.store(false, std::memory_order_relaxed);
  }

  // Free stacks that hold memory; a moment's truth.
  [[nodiscard]] std::size_t holding() const noexcept { return holding_.load(std::memory_order_relaxed); }
  // Those that may hold much, because nobody has looked yet whether they were used deeply, but for a few of
  // each size.
  [[nodiscard]] std::size_t excess() const noexcept { return excess_.load(std::memory_order_relaxed); }
  // From here on the pool notes which free stacks nobody needs.
  void begin_period() noexcept;
  // Empties up to `n` of those that were not needed since begin_period(), and all but a few of each size.
  // True: there may be more.
  bool return_unused(std::size_t n) noexcept;

  // Calls back with every slot ever carved, with the pool locked.
  void for_each_slot(const std::function<void(stack_slot&)>& visit);

  [[nodiscard]] std::size_t carved() const noexcept { return carved_.load(std::memory_order_relaxed); }

 private:
  struct slab;
  struct size_class;

  size_class& class_of(std::size_t size);
  bool grow(size_class& sizes);
  static void note_release(size_class& sizes) noexcept;
  void count_excess(size_class& sizes) noexcept;
  bool recovers(std::size_t size) noexcept;
  bool guard(std::byte* at) noexcept;

  std::mutex mutex_;  // guards everything below but the atomics
  std::vector<std::unique_ptr<size_class>> classes_;
  // Guards need no mappings of their own (Linux 6.13). Else they split mappings, of which the kernel allows
  // some 65,000.
  const bool guard_pages_;
  std::atomic<bool> exhausted_{false};
  std::atomic<std::size_t> carved_{0};  // changed under the lock, as the next
  std::atomic<std::size_t> holding_{0};
  std::atomic<std::size_t> excess_{0};
};

}  // namespace zsync::detail
