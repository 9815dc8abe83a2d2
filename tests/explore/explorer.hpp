// Runs a few threads of a small program under every order that chance comes upon, on a memory as weak as C++
// allows: a load may read any store that the standard lets it read, not only the last one.
//
// The threads are contexts on one real thread, which may change at each atomic operation. Each has a vector
// clock: it has seen whatever another one did before a release that it has acquired. A store keeps the clock
// of its release; a load reads one of the stores that are neither older than what its thread has seen of this
// place, nor hidden by a store that happened before. What is not atomic is watched for races by the same
// clocks (FastTrack's idea; the memory is that of Norris and Demsky, "CDSChecker", OOPSLA 2013, with the
// order of modification fixed to that of execution). Sequentially consistent operations happen in the order
// of execution, and so do fences: what came before one is seen after each later one.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace zsync::explore {

inline constexpr std::size_t threads_max = 6;  // the first is the one that sets up and looks at the end

struct vector_clock {
  std::array<std::uint32_t, threads_max> at{};

  void join(const vector_clock& other) noexcept {
    for (std::size_t i = 0; i < threads_max; ++i) at[i] = std::max(at[i], other.at[i]);
  }
};

// ---- for the types below ----

std::size_t me() noexcept;     // the thread that runs
vector_clock& now() noexcept;  // what happened before its next step
void point() noexcept;         // others may run here
std::size_t draw(std::size_t below) noexcept;
void race(const char* what) noexcept;
bool happened(std::size_t thread, std::uint32_t time) noexcept;  // before what runs now

// ---- for scenarios ----

void fail(const std::string& why) noexcept;  // the run goes on, and has failed
inline void expect(bool holds, const char* what) noexcept {
  if (!holds) fail(what);
}

// Blocks until somebody has let it go; orders as a semaphore does.
class gate {
 public:
  void open() noexcept;
  void wait() noexcept;

 private:
  unsigned count_ = 0;
  vector_clock opened_;
};

// For what relies on time: so much passes that every store until now is seen by all from now on.
void long_while() noexcept;

// One run: `threads` run side by side after what their maker has done, and before `finally`.
struct scenario {
  std::vector<std::function<void()>> threads;
  std::function<void()> finally = [] {};
};

// Makes and runs it for `seeds` seeds, or as ZSYNC_EXPLORE_SEEDS says; throws std::runtime_error with the
// first seed that fails and why.
void run(std::uint64_t seeds, const std::function<scenario()>& make);

// ---- the aliased types ----

inline bool acquires(std::memory_order o) noexcept {
  return o == std::memory_order_acquire || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst ||
         o == std::memory_order_consume;
}
inline bool releases(std::memory_order o) noexcept {
  return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}

void full_fence() noexcept;

template <class T>
class atomic {
 public:
  atomic() noexcept : atomic(T{}) {}
  atomic(T first) noexcept {  // NOLINT: as std::atomic
    stores_.push_back({first, now(), me(), now().at[me()]});
  }
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
    point();
    std::size_t oldest = seen_[me()];
    for (std::size_t i = stores_.size(); i-- > oldest;) {
      if (!happened(stores_[i].by, stores_[i].when)) continue;
      oldest = i;
      break;
    }
    if (order == std::memory_order_seq_cst) oldest = std::max(oldest, last_sequential_);
    const std::size_t newest = stores_.size() - 1;
    // The last one as often as all that are out of date.
    std::size_t read = newest;
    if (oldest != newest && draw(2) == 0) read = oldest + draw(newest - oldest + 1);
    return take(read, order);
  }

  void store(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    point();
    put(value, order, nullptr);
  }

  T exchange(T value, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, [&](T) { return value; });
  }
  T fetch_add(T n, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, [&](T old) { return static_cast<T>(old + n); });
  }
  T fetch_sub(T n, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, [&](T old) { return static_cast<T>(old - n); });
  }
  T fetch_or(T bits, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, [&](T old) { return static_cast<T>(old | bits); });
  }
  T fetch_and(T bits, std::memory_order order = std::memory_order_seq_cst) noexcept {
    return change(order, [&](T old) { return static_cast<T>(old & bits); });
  }

  bool compare_exchange_strong(T& expected, T wanted, std::memory_order success,
                               std::memory_order failure) noexcept {
    point();
    const std::size_t last = stores_.size() - 1;
    if (stores_[last].value != expected) {
      expected = take(last, failure);
      return false;
    }
    take(last, success);
    const vector_clock continued = stores_[last].released;
    put(wanted, success, &continued);
    return true;
  }
  bool compare_exchange_strong(T& expected, T wanted,
                               std::memory_order order = std::memory_order_seq_cst) noexcept {
    return compare_exchange_strong(expected, wanted, order, without_release(order));
  }
  bool compare_exchange_weak(T& expected, T wanted, std::memory_order success,
                             std::memory_order failure) noexcept {
    if (draw(8) == 0) {
      expected = load(failure);
      return false;
    }
    return compare_exchange_strong(expected, wanted, success, failure);
  }
  bool compare_exchange_weak(T& expected, T wanted,
                             std::memory_order order = std::memory_order_seq_cst) noexcept {
    return compare_exchange_weak(expected, wanted, order, without_release(order));
  }

 private:
  struct one {
    T value;
    vector_clock released;  // what who acquires it has seen
    std::size_t by;
    std::uint32_t when;
  };

  static std::memory_order without_release(std::memory_order o) noexcept {
    if (o == std::memory_order_acq_rel) return std::memory_order_acquire;
    return o == std::memory_order_release ? std::memory_order_relaxed : o;
  }

  T take(std::size_t i, std::memory_order order) const noexcept {
    seen_[me()] = std::max(seen_[me()], i);
    if (acquires(order)) now().join(stores_[i].released);
    return stores_[i].value;
  }

  // `continued`: of the release sequence that a read-modify-write goes on with.
  void put(T value, std::memory_order order, const vector_clock* continued) noexcept {
    ++now().at[me()];
    vector_clock released = releases(order) ? now() : vector_clock{};
    if (continued != nullptr) released.join(*continued);
    stores_.push_back({value, released, me(), now().at[me()]});
    seen_[me()] = stores_.size() - 1;
    if (order == std::memory_order_seq_cst) last_sequential_ = stores_.size() - 1;
  }

  template <class F>
  T change(std::memory_order order, const F& how) noexcept {
    point();
    const std::size_t last = stores_.size() - 1;
    const T old = take(last, order);
    const vector_clock continued = stores_[last].released;
    put(how(old), order, &continued);
    return old;
  }

  std::vector<one> stores_;  // in the order of modification
  mutable std::array<std::size_t, threads_max> seen_{};
  std::size_t last_sequential_ = 0;
};

// A variable that is not atomic: whoever uses it at the same time as a writer has a race.
template <class T>
class plain {
 public:
  plain() noexcept : plain(T{}) {}
  plain(T first) noexcept : value_(first) { written(); }  // NOLINT: as a T
  plain(const plain& other) noexcept : plain(static_cast<T>(other)) {}
  plain& operator=(T value) noexcept {
    written();
    value_ = value;
    return *this;
  }
  plain& operator=(const plain& other) noexcept { return *this = static_cast<T>(other); }
  operator T() const noexcept {  // NOLINT: as a T
    if (!happened(writer_, written_)) race("a read beside a write");
    ++now().at[me()];
    read_[me()] = now().at[me()];
    return value_;
  }
  T operator->() const noexcept { return *this; }

 private:
  void written() noexcept {
    if (!happened(writer_, written_)) race("two writes at once");
    for (std::size_t i = 0; i < threads_max; ++i) {
      if (!happened(i, read_[i])) race("a write beside a read");
    }
    ++now().at[me()];
    writer_ = me();
    written_ = now().at[me()];
  }

  T value_{};
  std::size_t writer_ = 0;
  std::uint32_t written_ = 0;
  mutable std::array<std::uint32_t, threads_max> read_{};
};

}  // namespace zsync::explore
