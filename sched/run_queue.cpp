#include <zsync/sched/run_queue.hpp>

namespace zsync::detail {

struct stealing_deque::array {
  explicit array(std::int64_t capacity)
      : mask(capacity - 1), slots(new atomic<fiber_control*>[static_cast<std::size_t>(capacity)]) {}

  [[nodiscard]] fiber_control* get(std::int64_t i) const noexcept {
    return slots[static_cast<std::size_t>(i & mask)].load(std::memory_order_relaxed);
  }
  void put(std::int64_t i, fiber_control* f) noexcept {
    slots[static_cast<std::size_t>(i & mask)].store(f, std::memory_order_relaxed);
  }

  plain<std::int64_t> mask;
  std::unique_ptr<atomic<fiber_control*>[]> slots;
};

stealing_deque::stealing_deque(std::int64_t capacity) {
  arrays_.push_back(std::make_unique<array>(capacity));
  array_.store(arrays_.back().get(), std::memory_order_relaxed);
}

stealing_deque::~stealing_deque() = default;

void stealing_deque::push(fiber_control& f) {
  const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
  const std::int64_t top = top_.load(std::memory_order_acquire);
  array* a = array_.load(std::memory_order_relaxed);
  if (bottom - top > a->mask) a = grow(*a, top, bottom);
  a->put(bottom, &f);
  bottom_.store(bottom + 1, std::memory_order_release);  // publishes the slot, and what f points at
}

bool stealing_deque::youngest_is(const fiber_control& f) const noexcept {
  return !empty() &&
         array_.load(std::memory_order_relaxed)->get(bottom_.load(std::memory_order_relaxed) - 1) == &f;
}

fiber_control* stealing_deque::pop_some() noexcept {
  const std::int64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
  if (bottom < top_.load(std::memory_order_relaxed)) return nullptr;  // top only grows: surely empty
  array* const a = array_.load(std::memory_order_relaxed);
  if (!shared_) {
    bottom_.store(bottom, std::memory_order_relaxed);
    return a->get(bottom);
  }
  // Announce the claim, then look at top: a thief does it the other way round, so one of them sees it.
  bottom_.store(bottom, std::memory_order_seq_cst);
  std::int64_t top = top_.load(std::memory_order_seq_cst);
  if (top < bottom) return a->get(bottom);
  fiber_control* last = nullptr;
  if (top == bottom && top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst))
    last = a->get(bottom);
  bottom_.store(bottom + 1, std::memory_order_relaxed);
  return last;
}

fiber_control* stealing_deque::take_some() noexcept {
  std::int64_t top = top_.load(std::memory_order_seq_cst);
  const std::int64_t bottom = bottom_.load(std::memory_order_seq_cst);
  if (top >= bottom) return nullptr;
  fiber_control* const oldest = array_.load(std::memory_order_acquire)->get(top);
  if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) return nullptr;
  return oldest;
}

stealing_deque::array* stealing_deque::grow(array& old, std::int64_t top, std::int64_t bottom) {
  arrays_.push_back(std::make_unique<array>(2 * (old.mask + 1)));
  array* const larger = arrays_.back().get();
  for (std::int64_t i = top; i != bottom; ++i) larger->put(i, old.get(i));
  array_.store(larger, std::memory_order_release);
  return larger;
}

}  // namespace zsync::detail
