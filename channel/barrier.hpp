// A meeting point that is passed again and again by all together, as std::barrier.
#pragma once

#include <zsync/channel/queue_wait.hpp>
#include <zsync/sched/error.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// Counts the arrivals of a phase. The last one of them completes it, on behalf of all.
class barrier_state {
 public:
  constexpr explicit barrier_state(std::ptrdiff_t expected) noexcept : expected_(expected), left_(expected) {
    if (expected < 0) misuse("a barrier is made to expect less than nobody");
  }
  barrier_state(const barrier_state&) = delete;
  barrier_state& operator=(const barrier_state&) = delete;
  ~barrier_state();

  struct arrival {
    std::uint64_t phase;
    bool last;  // the caller must run the completion, then call complete()
  };
  arrival arrive(std::ptrdiff_t count, std::ptrdiff_t dropped) noexcept;
  void complete() noexcept;
  void wait(std::uint64_t phase) const;

 private:
  mutable spinlock lock_;    // guards all of these
  std::ptrdiff_t expected_;  // from the next phase on
  std::ptrdiff_t left_;      // arrivals until this phase is complete
  std::uint64_t phase_ = 0;
  mutable wait_queue waiters_;  // for the end of this phase
};

struct nothing {
  void operator()() const noexcept {}
};

}  // namespace detail

// Any fiber or thread may arrive. The completion function runs in the last to arrive, while the others wait.
// Waiting is a cancellation point; a cancelled caller has arrived all the same. A barrier may be destroyed
// once every wait has returned, even if the call that ended them has not. More arrivals than expected in one
// phase end the program.
template <class CompletionFunction = detail::nothing>
class barrier {
  static_assert(std::is_nothrow_invocable_v<CompletionFunction&>,
                "nobody could catch what a completion throws");

 public:
  class arrival_token {
   public:
    arrival_token(arrival_token&&) noexcept = default;
    arrival_token& operator=(arrival_token&&) noexcept = default;

   private:
    friend class barrier;
    explicit arrival_token(std::uint64_t phase) noexcept : phase_(phase) {}

    std::uint64_t phase_;
  };

  constexpr explicit barrier(std::ptrdiff_t expected, CompletionFunction completion = CompletionFunction())
      : state_(expected), completion_(std::move(completion)) {}

  static constexpr std::ptrdiff_t max() noexcept { return PTRDIFF_MAX; }

  [[nodiscard]] arrival_token arrive(std::ptrdiff_t count = 1) { return arrival_token(arrive(count, 0)); }
  void wait(arrival_token&& token) const { state_.wait(token.phase_); }
  void arrive_and_wait() { wait(arrive()); }
  void arrive_and_drop() { arrive(1, 1); }  // from the next phase on, one arrival less is expected

 private:
  std::uint64_t arrive(std::ptrdiff_t count, std::ptrdiff_t dropped) {
    const auto [phase, last] = state_.arrive(count, dropped);
    if (last) {
      completion_();
      state_.complete();
    }
    return phase;
  }

  detail::barrier_state state_;
  [[no_unique_address]] CompletionFunction completion_;
};

}  // namespace zsync
