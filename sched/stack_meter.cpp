#include <zsync/sched/stack_meter.hpp>

#include <zsync/fiber/backtrace.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <new>

namespace zsync::detail {

void stack_meter::prepare(const stack& memory) noexcept {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto bottom = reinterpret_cast<std::uintptr_t>(memory.bottom);
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  auto end = reinterpret_cast<std::uintptr_t>(memory.top);
  // Our own frames have to stay, with a page below them for what madvise() needs.
  if (here > bottom && here < end) end = here - page;
  end &= ~(page - 1);
  if (end > bottom) ::madvise(memory.bottom, end - bottom, MADV_DONTNEED);
}

namespace {

// On the ended fiber's stack, so without looking up more than the loader knows.
void warn(const fiber_control& ended, std::size_t touched) noexcept {
  signal_safe_text text(STDERR_FILENO);
  text << "zsync: fiber " << ended.id << " '" << (ended.name == nullptr ? "" : ended.name->c_str())
       << "' touched " << touched << " of the " << ended.stack_size << " bytes of its stack; spawned at ";
  text.code(ended.spawned_at) << "\n";
}

}  // namespace

void stack_meter::record(const fiber_control& ended) noexcept try {
  const std::size_t touched = std::min<std::size_t>(touched_bytes(ended.memory), ended.stack_size);
  {
    const std::lock_guard hold(mutex_);
    figures& site = sites_[{ended.spawned_at, ended.stack_size}];
    ++site.fibers;
    site.touched_max = std::max(site.touched_max, touched);
    if (warning_percent_ == 0 || site.warned || touched < ended.stack_size / 100 * warning_percent_) return;
    site.warned = true;
  }
  warn(ended, touched);
} catch (const std::bad_alloc&) {
  // A figure is missing: nothing depends on it.
}

// Names are read from files, for which no fiber that ends is to wait.
std::vector<stack_usage> stack_meter::report() const {
  std::vector<stack_usage> all;
  {
    const std::lock_guard hold(mutex_);
    all.reserve(sites_.size());
    for (const auto& [site, found] : sites_)
      all.push_back({{}, site.first, site.second, found.touched_max, found.fibers});
  }
  for (stack_usage& one : all) one.site = symbol_name(one.spawned_at);
  std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return a.touched_max > b.touched_max; });
  return all;
}

}  // namespace zsync::detail
