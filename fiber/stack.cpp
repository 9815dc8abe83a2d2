#include <zsync/fiber/stack.hpp>

#include <zsync/fiber/sanitizer.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

namespace zsync::detail {
namespace {

constexpr std::size_t slab_size_max = std::size_t{80} << 20;
constexpr std::size_t slab_stacks_max = 256;

// Stacks whose tops share a page offset fight for the same cache sets: 100,000 parked fibers switch in 88 ns
// with equal tops and in 29 with coloured ones. Half a page of colours leaves the other half to the fiber.
constexpr std::size_t colours = 32;
constexpr std::size_t cache_line = 64;

// How much of a free stack stays with it; what was used below goes back to the kernel.
constexpr std::size_t shallow = 16 * 1024;

// So many free stacks may hold deep pages, because they are likely to be used again at once.
constexpr std::size_t untrimmed_max = 64;
constexpr std::size_t window_min = 256;  // releases

// So many free stacks of a size stay warm, however long nobody needs them.
constexpr std::size_t warm_max = 64;

#if defined(MADV_GUARD_INSTALL)
constexpr int guard_install = MADV_GUARD_INSTALL;
#else
constexpr int guard_install = 102;  // Linux 6.13; older headers do not name it
#endif

#if defined(MADV_POPULATE_READ)
constexpr int populate_read = MADV_POPULATE_READ;
#else
constexpr int populate_read = 22;   // Linux 5.14
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

#if defined(__linux__)
using residency = unsigned char;
#else
using residency = char;
#endif

// The lowest resident page of [begin, end), or `end`.
std::byte* lowest_resident(std::byte* begin, std::byte* end) noexcept {
  constexpr std::size_t at_once = 64;
  residency pages[at_once];
  const std::size_t page = page_size();
  for (std::byte* at = begin; at < end; at += at_once * page) {
    const std::size_t count = std::min(at_once, static_cast<std::size_t>(end - at) / page);
    if (::mincore(at, count * page, pages) != 0) return end;
    const residency* const found =
        std::find_if(pages, pages + count, [](residency r) { return (r & 1) != 0; });
    if (found != pages + count) return at + static_cast<std::size_t>(found - pages) * page;
  }
  return end;
}

// Gives what was used below the shallow part back to the kernel. One system call if there is nothing.
void trim(const stack& memory) noexcept {
  std::byte* const end = end_of(memory) - shallow;
  if (end <= memory.bottom) return;
  std::byte* const lowest = lowest_resident(memory.bottom, end);
  if (lowest != end) ::madvise(lowest, static_cast<std::size_t>(end - lowest), MADV_DONTNEED);
}

// Under a lock, for readers without one.
void change(std::atomic<std::size_t>& figure, std::ptrdiff_t by) noexcept {
  figure.store(figure.load(std::memory_order_relaxed) + static_cast<std::size_t>(by),
               std::memory_order_relaxed);
}

bool guard_pages_work() noexcept {
#if defined(__linux__)
  const std::size_t size = page_size();
  void* const probe = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (probe == MAP_FAILED) return false;
  // An emulated kernel may take advice that it does not know, and do nothing. A guard refuses to be filled.
  const bool works = ::madvise(probe, size, guard_install) == 0 &&
                     ::madvise(probe, size, populate_read) != 0 && errno == EFAULT;
  ::munmap(probe, size);
  return works;
#else
  return false;
#endif
}

}  // namespace

std::size_t touched_bytes(const stack& memory) noexcept {
  std::byte* const end = end_of(memory);
  return static_cast<std::size_t>(end - lowest_resident(memory.bottom, end));
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
  std::size_t trimmed = 0;         // of the free ones, from the oldest on, hold no deep pages
  std::size_t emptied = 0;         // of the free ones, from the oldest on, hold nothing at all
  std::size_t unused = 0;          // so many were free at all times of this period: the oldest
  std::size_t spare = 0;           // so many were free throughout the present window of releases: the oldest
  std::size_t to_trim = 0;         // so many were throughout the last one
  std::size_t releases = 0;        // in the present one
  std::size_t excess = 0;          // of the free ones that are not trimmed, those above untrimmed_max
  std::vector<stack> free;         // capacity for every carved stack, so that release() cannot fail
};

stack_pool::stack_pool() : guard_pages_(guard_pages_work()) {}

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
    const std::size_t left = sizes.free.size();
    if (sizes.emptied <= left) change(holding_, -1);
    sizes.emptied = std::min(sizes.emptied, left);
    sizes.trimmed = std::min(sizes.trimmed, left);
    sizes.unused = std::min(sizes.unused, left);
    sizes.spare = std::min(sizes.spare, left);
    sizes.to_trim = std::min(sizes.to_trim, left);
    count_excess(sizes);
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
  change(carved_, 1);
  std::byte* const bottom = begin + guard_size;
  return {bottom, bottom + sizes.size - (index % colours) * cache_line, &s.slots[index]};
} catch (const std::bad_alloc&) {
  exhausted_.store(true, std::memory_order_relaxed);
  return {};
}

void stack_pool::release(const stack& memory) noexcept {
  std::byte* const end = end_of(memory);
  const std::lock_guard hold(mutex_);
  memory.slot->home.store(nullptr, std::memory_order_relaxed);
  memory.slot->owner.store(nullptr, std::memory_order_relaxed);
  size_class& sizes = class_of(static_cast<std::size_t>(end - memory.bottom));
  sizes.free.push_back(memory);
  change(holding_, 1);
  note_release(sizes);
  if (sizes.trimmed < sizes.to_trim) trim(sizes.free[sizes.trimmed++]);
  count_excess(sizes);
  exhausted_.store(false, std::memory_order_relaxed);
}

// What fibers that come and go in waves use again and again is not worth a look at each time: a stack is
// trimmed when it has been free while as many were released as there are.
void stack_pool::note_release(size_class& sizes) noexcept {
  const std::size_t carved = (sizes.slabs.size() - 1) * sizes.slabs.front().count + sizes.carved_of_last;
  if (++sizes.releases < std::max(window_min, carved)) return;
  sizes.releases = 0;
  sizes.to_trim = std::min(sizes.spare, sizes.free.size() - std::min(sizes.free.size(), untrimmed_max));
  sizes.spare = sizes.free.size();
}

void stack_pool::count_excess(size_class& sizes) noexcept {
  const std::size_t untrimmed = sizes.free.size() - sizes.trimmed;
  const std::size_t now = untrimmed - std::min(untrimmed, untrimmed_max);
  change(excess_, static_cast<std::ptrdiff_t>(now) - static_cast<std::ptrdiff_t>(sizes.excess));
  sizes.excess = now;
}

void stack_pool::begin_period() noexcept {
  const std::lock_guard hold(mutex_);
  for (const auto& sizes : classes_) sizes->unused = sizes->free.size();
}

bool stack_pool::return_unused(std::size_t n) noexcept {
  const std::lock_guard hold(mutex_);
  for (const auto& sizes : classes_) {
    while (sizes->emptied + warm_max < sizes->unused) {
      if (n-- == 0) return true;
      const stack& oldest = sizes->free[sizes->emptied++];
      ::madvise(oldest.bottom, static_cast<std::size_t>(end_of(oldest) - oldest.bottom), MADV_DONTNEED);
      sizes->trimmed = std::max(sizes->trimmed, sizes->emptied);
      change(holding_, -1);
      count_excess(*sizes);
    }
  }
  return false;
}

bool stack_pool::recovers(std::size_t size) noexcept {
  const stack one = allocate(size);
  if (one) release(one);
  return static_cast<bool>(one);
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
  std::size_t count = std::clamp<std::size_t>(slab_size_max / pitch, 1, slab_stacks_max);
  const std::size_t capacity = (sizes.slabs.size() + 1) * count;
  if (sizes.free.capacity() < capacity) sizes.free.reserve(2 * capacity);
  if (sizes.slabs.size() == sizes.slabs.capacity()) sizes.slabs.reserve(2 * sizes.slabs.size() + 1);
#if defined(__linux__)
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
#else
  constexpr int kind = MAP_PRIVATE | MAP_ANONYMOUS;  // elsewhere MAP_STACK is memory that grows by itself
#endif
  void* memory = MAP_FAILED;
  // Where address space is short from the beginning, less will do. Later it is not: what a whole slab does
  // not fit into is left for the heap, or a program that runs out of stacks could not even catch that.
  for (;; count /= 2) {
    if (count == 0) return false;
    memory = ::mmap(nullptr, pitch * count, PROT_READ | PROT_WRITE, kind, -1, 0);
    if (memory != MAP_FAILED) break;
    if (!sizes.slabs.empty()) return false;
  }
#if defined(MADV_NOHUGEPAGE)
  ::madvise(memory, pitch * count, MADV_NOHUGEPAGE);  // fails where the kernel has none: as good
#endif
  std::unique_ptr<stack_slot[]> slots(new (std::nothrow) stack_slot[count]);
  if (slots == nullptr) {
    ::munmap(memory, pitch * count);
    return false;
  }
  sizes.slabs.push_back({static_cast<std::byte*>(memory), pitch * count, std::move(slots), count});
  sizes.carved_of_last = 0;
  return true;
}

bool stack_pool::guard(std::byte* at) noexcept {
  if (guard_pages_ && ::madvise(at, guard_size, guard_install) == 0) return true;
  return ::mprotect(at, guard_size, PROT_NONE) == 0;
}

}  // namespace zsync::detail
