// What a promise and its futures share: room for a result, the queue of those that wait for it, and the
// continuations to be run when it is there.
//
//   open --begin()--> being set --publish()--> ready        each transition happens once
//     ^---- give_up() ----'                                 give_up(): the result's constructor threw
//
// A caller that has seen the state ready, under the lock, may destroy it: publish() does not touch it after
// its unlock.
#pragma once

#include <zsync/channel/queue_wait.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace zsync::detail {

class continuation_list;

// A link of a ring: the head of a list, or one of its elements.
struct continuation_link {
  continuation_link() noexcept = default;
  continuation_link(const continuation_link&) = delete;
  continuation_link& operator=(const continuation_link&) = delete;

  continuation_link* next = this;
  continuation_link* previous = this;
};

// What is to run once a state is ready. It owns itself: run() is its last call.
class continuation : public continuation_link {
 public:
  continuation() noexcept = default;

  // Does not run what becomes ready by it, but adds that to `more`: a chain of any length needs no deep
  // stack.
  virtual void run(continuation_list& more) noexcept = 0;

  // Out of the list that it stands in, if it does.
  void unlink() noexcept {
    next->previous = previous;
    previous->next = next;
    next = previous = this;
  }

 protected:
  ~continuation() = default;
};

// First in, first out.
class continuation_list {
 public:
  void add(continuation& c) noexcept { insert(c, c); }
  void take_from(continuation_list& other) noexcept;
  void run_all() noexcept;

 private:
  [[nodiscard]] bool empty() const noexcept { return ends_.next == &ends_; }

  // A chain, in front of the end. Not inline: gcc would warn of lists that are local variables.
  void insert(continuation_link& first, continuation_link& last) noexcept;

  continuation_link ends_;
};

class future_state_base {
 public:
  future_state_base() noexcept = default;
  future_state_base(const future_state_base&) = delete;
  future_state_base& operator=(const future_state_base&) = delete;
  virtual ~future_state_base() = default;

  // A reference comes from another, so its count orders nothing; each release() hands what was done to the
  // last, which acquires it.
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // Futures of this state; with std::async's promise, the last one waits for the result before it goes.
  void add_future() noexcept { futures_.fetch_add(1, std::memory_order_relaxed); }
  void drop_future() noexcept {
    if (awaited_ && futures_.fetch_sub(1, std::memory_order_acq_rel) == 1) wait_out();
    release();
  }
  void set_awaited() noexcept { awaited_ = true; }  // before anybody shares it

  // Throws future_already_retrieved the second time. Relaxed, for it orders nothing else: only which call
  // comes first matters.
  void retrieve() {
    if (retrieved_.exchange(true, std::memory_order_relaxed))
      throw_error(std::future_errc::future_already_retrieved);
  }

  // True: the caller is to set the result. Acquires what give_up() releases: the room for the result, which
  // another caller has tried to fill in vain.
  [[nodiscard]] bool begin() noexcept { return !begun_.exchange(true, std::memory_order_acquire); }
  void give_up() noexcept { begun_.store(false, std::memory_order_release); }
  void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }
  void publish(continuation_list& now) noexcept;
  void publish() noexcept {
    continuation_list now;
    publish(now);
    now.run_all();
  }
  void break_promise() noexcept;

  [[nodiscard]] bool is_ready() const noexcept {
    const spin_guard guard(lock_);
    return ready_;
  }
  // A hint, without the lock.
  [[nodiscard]] bool looks_ready() const noexcept { return ready_hint_.load(std::memory_order_relaxed); }
  // True: ready. False: `until` has passed. A cancellation point.
  bool wait(deadline until) const;

  // False, and nothing is kept: it is ready already.
  [[nodiscard]] bool add(continuation& c) noexcept;
  // It is not to run any more. Not while it does.
  void withdraw(continuation& c) noexcept;
  [[nodiscard]] bool enlist(waiter& w) noexcept;
  void withdraw(waiter& w) noexcept;

  [[noreturn]] static void throw_error(std::future_errc why);

 protected:
  void rethrow_error() const {
    if (error_) std::rethrow_exception(error_);
  }
  // For the last caller that asks, which takes the exception along: otherwise the setter might be the one
  // that destroys it, when it lets go of this state.
  void rethrow_last() {
    if (error_) std::rethrow_exception(std::move(error_));
  }

 private:
  void wait_out() noexcept;

  mutable spinlock lock_;
  bool ready_ = false;                   // lock_
  std::atomic<bool> ready_hint_{false};  // the same
  bool awaited_ = false;                 // set before it is shared
  std::atomic<bool> begun_{false};
  std::atomic<bool> retrieved_{false};
  mutable wait_queue waiters_;       // lock_
  continuation_list continuations_;  // lock_
  std::exception_ptr error_;         // written before ready_, read after
  std::atomic<std::size_t> references_{1};
  std::atomic<std::size_t> futures_{1};
};

// The result itself, written before the state is ready and read after.
template <class T>
class future_state : public future_state_base {
 public:
  using stored =
      std::conditional_t<std::is_void_v<T>, std::monostate,
                         std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>>;

  // Throws promise_already_satisfied, or what the constructor throws; then nothing has changed.
  template <class... From>
  void emplace(From&&... from) {
    if (!begin()) throw_error(std::future_errc::promise_already_satisfied);
    try {
      value_.emplace(std::forward<From>(from)...);
    } catch (...) {
      give_up();
      throw;
    }
  }
  void fail(std::exception_ptr error) {
    if (!begin()) throw_error(std::future_errc::promise_already_satisfied);
    set_error(std::move(error));
  }

  // Keeps the result of f(), or what it throws. The caller has begun and will publish.
  template <class F>
  void keep_result_of(F&& f) noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        std::forward<F>(f)();
        value_.emplace();
      } else if constexpr (std::is_reference_v<T>) {
        auto&& result = std::forward<F>(f)();
        value_.emplace(std::addressof(result));
      } else {
        value_.emplace(std::forward<F>(f)());
      }
    } catch (...) {
      set_error(std::current_exception());
    }
  }

  // It must be ready. Returns a reference to the value, or throws the exception.
  [[nodiscard]] stored& value() {
    rethrow_error();
    return *value_;
  }
  // The same for the only caller that will ever ask.
  [[nodiscard]] stored& last_value() {
    rethrow_last();
    return *value_;
  }

 private:
  std::optional<stored> value_;
};

// A counted pointer to a state. Futures are counted besides: they detach it, and drop it as futures.
template <class State>
class state_ref {
 public:
  state_ref() noexcept = default;
  explicit state_ref(State* adopted) noexcept : state_(adopted) {}
  state_ref(const state_ref& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->retain();
  }
  state_ref(state_ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  state_ref& operator=(state_ref other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~state_ref() {
    if (state_ != nullptr) state_->release();
  }

  [[nodiscard]] State* get() const noexcept { return state_; }
  State* operator->() const noexcept { return state_; }
  State& operator*() const noexcept { return *state_; }
  explicit operator bool() const noexcept { return state_ != nullptr; }
  [[nodiscard]] State* detach() noexcept { return std::exchange(state_, nullptr); }

 private:
  State* state_ = nullptr;
};

}  // namespace zsync::detail
