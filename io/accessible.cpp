#include <zsync/fiber/control.hpp>
#include <zsync/io/accessible.hpp>
#include <zsync/io/errno_here.hpp>
#include <zsync/sched/worker.hpp>

#include <cerrno>
#include <cstdint>

#if defined(__linux__)
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace zsync::detail {
namespace {

// Above the caller's frame, so that it is in use.
bool is_on_own_stack(const void* at, std::size_t size) noexcept {
  const fiber_control* const fiber = current_fiber();
  if (fiber == nullptr) return false;
  const auto* const begin = static_cast<const std::byte*>(at);
  const auto* const here = static_cast<const std::byte*>(__builtin_frame_address(0));
  return here >= fiber->memory.bottom && begin >= here && begin < fiber->memory.top &&
         size <= static_cast<std::size_t>(fiber->memory.top - begin);
}

#if defined(__linux__)
constexpr std::uintptr_t page = 4096;  // the smallest there are

// The kernel reads the set of signals before it refuses what it is to do with that. At 0 it takes it for
// none.
bool can_read_word(std::uintptr_t at) noexcept {
  constexpr int nothing_known = -1;
  if (at == 0) return false;
  return ::syscall(SYS_rt_sigprocmask, nothing_known, at, nullptr, _NSIG / 8) == 0 || errno != EFAULT;
}

// Has the pages ready to be written to; since Linux 5.14.
bool populate(std::uintptr_t first, std::uintptr_t end) noexcept {
  constexpr int populate_write = 23;  // MADV_POPULATE_WRITE
  const auto size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = first & ~(size - 1);
  return ::syscall(SYS_madvise, begin, end - begin, populate_write) == 0;
}

bool can_populate() noexcept {
  static const bool known = [] {
    const char here = 0;
    const auto at = reinterpret_cast<std::uintptr_t>(&here);
    return populate(at, at + 1);
  }();
  return known;
}
#endif

}  // namespace

bool can_read(const void* at, std::size_t size) noexcept {
  if (size == 0 || is_on_own_stack(at, size)) return true;
#if defined(__linux__)
  const auto first = reinterpret_cast<std::uintptr_t>(at);
  const std::uintptr_t last = first + (size - 1);
  if (last < first) return false;
  const int error = errno;
  bool can = can_read_word(first & ~std::uintptr_t{7});
  for (std::uintptr_t next = (first & ~(page - 1)) + page; can && next > first && next <= last; next += page)
    can = can_read_word(next);
  errno = error;
  return can;
#else
  return at != nullptr;
#endif
}

bool can_write(void* at, std::size_t size) noexcept {
  if (size == 0 || is_on_own_stack(at, size)) return true;
#if defined(__linux__)
  if (!can_read(at, size)) return false;
  const int error = errno;
  const auto first = reinterpret_cast<std::uintptr_t>(at);
  const bool can = populate(first, first + size) || !can_populate();
  errno = error;
  return can;
#else
  return at != nullptr;
#endif
}

}  // namespace zsync::detail
