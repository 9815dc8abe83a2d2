#include <zsync/io/interpose/report.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/io/interpose/caller.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace zsync::interpose {
namespace {

// One place that calls one function. Taken by whoever first sets `caller`, and never given back.
struct entry {
  std::atomic<const void*> caller{nullptr};
  std::atomic<const char*> name{nullptr};
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::uint64_t> nanoseconds{0};
  std::atomic<std::uint64_t> longest{0};
};

constexpr std::size_t entries_max = 1024;
constinit std::array<entry, entries_max> entries{};
constexpr std::chrono::milliseconds worth_telling{1};

bool asked_for() noexcept {
  static const bool asked = [] {
    const char* const text = std::getenv("ZSYNC_REPORT");
    return text != nullptr && *text != 0 && std::string_view(text) != "0";
  }();
  return asked;
}

// nullptr: more places than there is room for.
entry* entry_of(const char* name, const void* caller) noexcept {
  const auto start = reinterpret_cast<std::uintptr_t>(caller) * 0x9e3779b97f4a7c15u >> 54;
  for (std::size_t i = 0; i < entries_max; ++i) {
    entry& e = entries[(start + i) % entries_max];
    const void* seen = e.caller.load(std::memory_order_acquire);
    if (seen == nullptr && e.caller.compare_exchange_strong(seen, caller, std::memory_order_acq_rel)) {
      e.name.store(name, std::memory_order_release);
      return &e;
    }
    if (seen == caller) return &e;
  }
  return nullptr;
}

void note(const char* name, const void* caller, std::chrono::nanoseconds took) noexcept {
  entry* const e = entry_of(name, caller);
  if (e == nullptr) return;
  const auto ns = static_cast<std::uint64_t>(took.count());
  e->calls.fetch_add(1, std::memory_order_relaxed);
  e->nanoseconds.fetch_add(ns, std::memory_order_relaxed);
  for (std::uint64_t seen = e->longest.load(std::memory_order_relaxed);
       seen < ns && !e->longest.compare_exchange_weak(seen, ns, std::memory_order_relaxed);) {
  }
}

double milliseconds(std::uint64_t ns) noexcept { return static_cast<double>(ns) / 1e6; }

struct writer {
  ~writer() { write(); }
  static void write() noexcept;
};

void writer::write() noexcept try {
  if (!active() || !asked_for()) return;
  std::vector<const entry*> found;
  for (const entry& e : entries) {
    if (e.calls.load(std::memory_order_relaxed) != 0) found.push_back(&e);
  }
  if (found.empty()) {
    std::fputs("zsync: no call that is watched blocked a worker for a millisecond or more\n", stderr);
    return;
  }
  std::sort(found.begin(), found.end(),
            [](const entry* a, const entry* b) { return a->nanoseconds.load() > b->nanoseconds.load(); });
  std::fputs("zsync: calls that blocked a worker, those that took most first\n", stderr);
  std::fprintf(stderr, "  %7s %12s %12s  %s\n", "times", "in all, ms", "longest, ms", "what, from where");
  for (const entry* e : found) {
    std::fprintf(stderr, "  %7llu %12.1f %12.1f  %s  %s\n",
                 static_cast<unsigned long long>(e->calls.load(std::memory_order_relaxed)),
                 milliseconds(e->nanoseconds.load(std::memory_order_relaxed)),
                 milliseconds(e->longest.load(std::memory_order_relaxed)),
                 e->name.load(std::memory_order_acquire), detail::symbol_name(e->caller.load()).c_str());
  }
} catch (...) {
  std::fputs("zsync: no memory for the report of what blocked workers\n", stderr);
}

const writer at_the_end;

}  // namespace

blocking_call::blocking_call(const char* name, const void* caller) noexcept
    : name_(on_fiber() && asked_for() ? name : nullptr), caller_(caller) {
  if (name_ != nullptr) begin_ = std::chrono::steady_clock::now();
}

blocking_call::~blocking_call() {
  if (name_ == nullptr) [[likely]]
    return;
  const int error = errno;
  const auto took = std::chrono::steady_clock::now() - begin_;
  if (took >= worth_telling) note(name_, caller_, took);
  errno = error;
}

}  // namespace zsync::interpose
