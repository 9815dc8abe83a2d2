#include <zsync/fiber/stack.hpp>

#include <zsync/fiber/sanitizer.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

namespace zsync::detail {
namespace {

constexpr std::size_t slab_size_max = std::size_t{80} << 20;
constexpr std::size_t slab_stacks_max = 256;

// Stacks whose tops share a page offset fight for the same cache sets: 100,000 parked fibers switch in 88 ns
// with equal tops and in 29 with coloured ones. Half a page of colours leaves the other half to the fiber.
constexpr std::size_t colours = 32;
constexpr std::size_t cache_line = 64;

// How deep a stack may have been used without being given back to the kernel on release.
constexpr std::size_t shallow = 16 * 1024;

#if defined(MADV_GUARD_INSTALL)
constexpr int guard_install = MADV_GUARD_INSTALL;
#else
constexpr int guard_install = 102;  // Linux 6.13; older headers do not name it
#endif

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// Where the memory of a stack ends, whatever its colour.
std::byte* end_of(const stack& memory) noexcept {
  const std::size_t span = std::bit_ceil(memory.size());
  return memory.bottom + span;
}

// Looks for traces in the page just below the shallow part. Nothing there: nothing deeper either, since a
// frame that skips a whole page would have to be larger than it. Reading an untouched page costs no memory.
__attribute__((no_sanitize("address", "thread"))) bool used_deeply(const stack& memory) noexcept {
  if (end_of(memory) - memory.bottom <= static_cast<std::ptrdiff_t>(2 * shallow)) return false;
  const auto* word = reinterpret_cast<const std::uint64_t*>(end_of(memory) - shallow - page_size());
  const auto* const end = word + page_size() / sizeof(*word);
  while (word != end && *word == 0) ++word;
  return word != end;
}

bool guard_pages_work() noexcept {
#if defined(__linux__)
  const std::size_t size = page_size();
  void* const probe = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED) return false;
  const bool works = ::madvise(probe, size, guard_install) == 0;
  ::munmap(probe, size);
  return works;
#else
  return false;
#endif
}

}  // namespace

std::size_t touched_bytes(const stack& memory) noexcept {
  const std::size_t page = page_size();
  const auto span = static_cast<std::size_t>(end_of(memory) - memory.bottom);
#if defined(__linux__)
  std::vector<unsigned char> resident(span / page);
#else
  std::vector<char> resident(span / page);
#endif
  if (::mincore(memory.bottom, span, resident.data()) != 0) return 0;
  const auto lowest =
      std::find_if(resident.begin(), resident.end(), [](auto flags) { return (flags & 1) != 0; });
  return static_cast<std::size_t>(resident.end() - lowest) * page;
}

struct stack_pool::slab {
  std::byte* memory;
  std::size_t size;
  std::unique_ptr<stack_slot[]> slots;
  std::size_t count;
};

struct stack_pool::size_class {
  std::size_t size;
  std::vector<slab> slabs;
  std::size_t carved_of_last = 0;  // stacks of the last slab that were handed out at least once
  std::vector<stack> free;         // capacity for every carved stack, so that release() cannot fail
};

stack_pool::stack_pool() : guards_(guard_pages_work() ? guard_kind::guard_pages : guard_kind::protection) {}

stack_pool::~stack_pool() {
  for (const auto& sizes : classes_) {
    for (const slab& s : sizes->slabs) ::munmap(s.memory, s.size);
  }
}

std::size_t stack_pool::rounded(std::size_t size) noexcept {
  return std::bit_ceil(std::clamp(size, size_min, size_max));
}

stack stack_pool::allocate(std::size_t size) noexcept try {
  const std::lock_guard hold(mutex_);
  size_class& sizes = class_of(rounded(size));
  if (!sizes.free.empty()) {
    const stack reused = sizes.free.back();
    sizes.free.pop_back();
    return reused;
  }
  if ((sizes.slabs.empty() || sizes.carved_of_last == sizes.slabs.back().count) && !grow(sizes)) {
    exhausted_.store(true, std::memory_order_relaxed);
    return {};
  }
  slab& s = sizes.slabs.back();
  const std::size_t index = sizes.carved_of_last;
  std::byte* const begin = s.memory + index * (guard_size + sizes.size);
  if (!guard(begin)) {
    exhausted_.store(true, std::memory_order_relaxed);
    return {};
  }
  ++sizes.carved_of_last;
  carved_.fetch_add(1, std::memory_order_relaxed);
  std::byte* const bottom = begin + guard_size;
  return {bottom, bottom + sizes.size - (index % colours) * cache_line, &s.slots[index]};
} catch (const std::bad_alloc&) {
  exhausted_.store(true, std::memory_order_relaxed);
  return {};
}

void stack_pool::release(const stack& memory) noexcept {
  std::byte* const end = end_of(memory);
  if (used_deeply(memory)) {
    ::madvise(memory.bottom, static_cast<std::size_t>(end - memory.bottom) - shallow, MADV_DONTNEED);
  }
  const std::lock_guard hold(mutex_);
  class_of(static_cast<std::size_t>(end - memory.bottom)).free.push_back(memory);
  exhausted_.store(false, std::memory_order_relaxed);
}

void stack_pool::for_each_slot(const std::function<void(stack_slot&)>& visit) {
  const std::lock_guard hold(mutex_);
  for (const auto& sizes : classes_) {
    for (const slab& s : sizes->slabs) {
      for (std::size_t i = 0; i < s.count; ++i) visit(s.slots[i]);
    }
  }
}

stack_pool::size_class& stack_pool::class_of(std::size_t size) {
  for (const auto& sizes : classes_) {
    if (sizes->size == size) return *sizes;
  }
  classes_.push_back(std::make_unique<size_class>());
  classes_.back()->size = size;
  return *classes_.back();
}

bool stack_pool::grow(size_class& sizes) {
  const std::size_t pitch = guard_size + sizes.size;
  const std::size_t count = std::clamp<std::size_t>(slab_size_max / pitch, 1, slab_stacks_max);
  const std::size_t capacity = (sizes.slabs.size() + 1) * count;
  if (sizes.free.capacity() < capacity) sizes.free.reserve(2 * capacity);
  if (sizes.slabs.size() == sizes.slabs.capacity()) sizes.slabs.reserve(2 * sizes.slabs.size() + 1);
  auto slots = std::make_unique<stack_slot[]>(count);
#if defined(MAP_STACK)
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
#else
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
#endif
  void* const memory = ::mmap(nullptr, pitch * count, PROT_READ | PROT_WRITE, kind, -1, 0);
  if (memory == MAP_FAILED) return false;
#if defined(MADV_NOHUGEPAGE)
  ::madvise(memory, pitch * count, MADV_NOHUGEPAGE);  // fails where the kernel has none: as good
#endif
  sizes.slabs.push_back({static_cast<std::byte*>(memory), pitch * count, std::move(slots), count});
  sizes.carved_of_last = 0;
  return true;
}

bool stack_pool::guard(std::byte* at) noexcept {
  if (guards_ == guard_kind::guard_pages && ::madvise(at, guard_size, guard_install) == 0) return true;
  return ::mprotect(at, guard_size, PROT_NONE) == 0;
}

}  // namespace zsync::detail
