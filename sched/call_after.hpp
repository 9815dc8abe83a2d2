// Calling a function later: the timer of those who write callbacks.
#pragma once

#include <zsync/fiber/code_address.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/timer/deadline.hpp>
#include <zsync/timer/timer_queue.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace zsync {
namespace detail {

class delayed_calls;

// A call that waits for its time; no fiber and no stack before that. Its state says who owns the closure:
//
//    armed --> fired       by its worker, once the time has come: a fiber has it
//      '-----> cancelled   by whoever is first: the canceller destroys it
//
// References: the handle's; the worker's, until it has done with it; the closure's; the mail's.
class delayed_call : private timer_node {
 public:
  explicit delayed_call(deadline when) noexcept : timer_node(&delayed_call::expire), when_(when) {}

  // Each release() hands on what its owner did, and the last acquires it. Likewise `state_`: who leaves
  // `armed` takes over the closure, which start() wrote, and hands on what became of it.
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    checker::release(&references_);
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    checker::acquire(&references_);
    delete this;
  }

  // Hands it, with the fiber to be, to a worker of that runtime, or of the current one. Throws
  // std::system_error outside any; the fiber to be is gone then.
  void start(task& call, spawn_site site);

  bool cancel() noexcept;
  [[nodiscard]] bool pending() const noexcept {
    return state_.load(std::memory_order_acquire) == state::armed;
  }
  [[nodiscard]] bool fired() const noexcept { return state_.load(std::memory_order_acquire) == state::fired; }

 private:
  friend class delayed_calls;
  enum class state : std::uint8_t { armed, fired, cancelled };

  ~delayed_call() = default;
  static void expire(timer_node& node) noexcept;
  bool leave_armed(state to) noexcept {
    auto armed = state::armed;
    return state_.compare_exchange_strong(armed, to, std::memory_order_acq_rel);
  }

  std::atomic<state> state_{state::armed};
  std::atomic<std::uint32_t> references_{1};
  const deadline when_;
  task* call_ = nullptr;                 // whoever leaves `armed`
  std::shared_ptr<delayed_calls> home_;  // constant once started
  spawn_site site_{};                    // as is this
  delayed_call* previous_ = nullptr;     // in home's list; home's thread, as the next three
  delayed_call* next_ = nullptr;
  bool listed_ = false;
  bool done_ = false;
  delayed_call* next_in_mail_ = nullptr;  // home's lock
  bool mailed_ = false;                   // home's lock
};

// What the fiber runs. A call that was given up by its worker only destroys its closure here.
template <class F>
class delayed_closure {
 public:
  template <class G>
  delayed_closure(G&& f, delayed_call& call) : f_(std::forward<G>(f)), call_(&call) {
    call.retain();
  }
  delayed_closure(delayed_closure&& other) noexcept(std::is_nothrow_move_constructible_v<F>)
      : f_(std::move(other.f_)), call_(std::exchange(other.call_, nullptr)) {}
  ~delayed_closure() {
    if (call_ != nullptr) call_->release();
  }

  void operator()() {
    if (call_->fired()) std::move(f_)();
  }

 private:
  F f_;
  delayed_call* call_;
};

}  // namespace detail

// The handle of a call_after(). Destroying it cancels the call, detach() lets it come. One thread or fiber
// uses it at a time; any may. It may outlive its runtime.
class timer {
 public:
  timer() noexcept = default;
  timer(timer&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  timer& operator=(timer&& other) noexcept {
    if (this != &other) {
      drop();
      call_ = std::exchange(other.call_, nullptr);
    }
    return *this;
  }
  ~timer() { drop(); }

  // True: the function will not be called, and is destroyed. False: it was called, runs now, or is about to
  // in its fiber; nothing waits for it. Does not wait, so it may be called from within the function too.
  bool cancel() noexcept { return call_ != nullptr && call_->cancel(); }

  // The time has not come, and nobody has cancelled it.
  [[nodiscard]] bool pending() const noexcept { return call_ != nullptr && call_->pending(); }

  void detach() noexcept {
    if (call_ != nullptr) std::exchange(call_, nullptr)->release();
  }

  // For call_after(): not part of the promise.
  template <class F>
  static timer start(deadline when, detail::spawn_site site, F&& f) {
    timer t;
    t.call_ = new detail::delayed_call(when);
    t.call_->start(*detail::make_task(detail::delayed_closure<std::decay_t<F>>(std::forward<F>(f), *t.call_)),
                   site);
    return t;
  }

 private:
  void drop() noexcept {
    if (call_ == nullptr) return;
    call_->cancel();
    detach();
  }

  detail::delayed_call* call_ = nullptr;
};

// Calls f() in a fiber of its own once `d` has passed, or `when` has come, never earlier, unless the returned
// handle cancels that. What escapes f terminates the process at the throw, as for post(). Until then it costs
// some 400 bytes, and no stack. From a fiber, or within a loop; the end of the runtime cancels it. Throws
// std::system_error (operation_not_permitted) elsewhere, where a runtime's own call_after() does it.
template <class Rep, class Period, class F>
[[nodiscard, gnu::always_inline]] inline timer call_after(std::chrono::duration<Rep, Period> d, F&& f) {
  return timer::start(deadline::after(d), {nullptr, detail::code_address()}, std::forward<F>(f));
}
template <class F>
[[nodiscard, gnu::always_inline]] inline timer call_at(deadline when, F&& f) {
  return timer::start(when, {nullptr, detail::code_address()}, std::forward<F>(f));
}

}  // namespace zsync
