// The functions that are replaced here, as they are beyond us: those of the next library that has them, as a
// rule libc's. Found by reading the symbol tables of what is loaded, for dlsym() takes locks and allocates,
// and may be called by an allocator that is not there yet.
#pragma once

#include <atomic>

namespace zsync::interpose {

// The next definition of `name` behind this library in the order of loading; ends the program without one.
// Any thread, any time.
void* find_real(const char* name) noexcept;

// F is the type of a function, a variadic one too. Found by the first call, or by find() before.
template <class F>
class real_function {
 public:
  explicit constexpr real_function(const char* name) noexcept : name_(name) {}

  [[nodiscard]] F* find() noexcept {
    void* found = address_.load(std::memory_order_relaxed);  // whoever finds it finds the same
    if (found == nullptr) [[unlikely]] {
      found = find_real(name_);
      address_.store(found, std::memory_order_relaxed);
    }
    return reinterpret_cast<F*>(found);
  }

  template <class... Arguments>
  decltype(auto) operator()(Arguments... arguments) {
    return find()(arguments...);
  }

 private:
  const char* const name_;
  std::atomic<void*> address_{nullptr};
};

// When the program starts: what a signal handler or the child of a fork may call is not searched for then.
template <class... Functions>
void find_all(Functions&... each) noexcept {
  (static_cast<void>(each.find()), ...);
}

}  // namespace zsync::interpose

// real_recv(...) calls the recv() beyond; in an unnamed namespace.
#define ZSYNC_REAL(name) \
  constinit zsync::interpose::real_function<decltype(::name)> real_##name { #name }
