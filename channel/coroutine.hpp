// C++20 coroutines: they co_await futures, may return futures, and fibers wait for them with zsync::await().
#pragma once

#include <zsync/channel/promise.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
  if constexpr (requires { std::forward<A>(awaitable).operator co_await(); }) {
    return std::forward<A>(awaitable).operator co_await();
  } else if constexpr (requires { operator co_await(std::forward<A>(awaitable)); }) {
    return operator co_await(std::forward<A>(awaitable));
  } else {
    return std::forward<A>(awaitable);
  }
}

// The list whose run_all() resumed the coroutine, until it suspends again. What the coroutine's end makes
// ready is added to that list rather than resumed at once: a chain of coroutines would otherwise need a stack
// as deep as it is long.
struct resumed_by {
  continuation_list* list = nullptr;
};

// Resumes the coroutine where the result is set, as part of setting it; as with then(), what it does next
// should be short.
template <class Future>
class future_awaiter final : public continuation {
 public:
  explicit future_awaiter(Future&& awaited) : future_(std::move(awaited)) {}
  explicit future_awaiter(const Future& awaited) requires std::copy_constructible<Future> : future_(awaited) {
  }
  ~future_awaiter() {
    if (waiting_) future_access::state(future_).withdraw(*this);
  }

  [[nodiscard]] bool await_ready() const { return future_.is_ready(); }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiting) {
    waiting_ = waiting;
    if constexpr (std::derived_from<Promise, resumed_by>) by_ = &waiting.promise();
    if (future_access::state(future_).add(*this)) return true;  // and perhaps resumed, and gone, already
    waiting_ = nullptr;
    return false;
  }
  decltype(auto) await_resume() { return future_.get(); }

  void run(continuation_list& more) noexcept override {
    if (by_ != nullptr) by_->list = &more;
    std::exchange(waiting_, nullptr).resume();
  }

 private:
  Future future_;
  std::coroutine_handle<> waiting_;
  resumed_by* by_ = nullptr;
};

// Clears the coroutine's resumed_by as it suspends, before anybody could resume it again.
template <class A>
class forgetful_awaiter {
 public:
  forgetful_awaiter(A&& awaitable, resumed_by& by)
      : awaiter_(awaiter_of(std::forward<A>(awaitable))), by_(by) {}

  [[nodiscard]] decltype(auto) await_ready() { return awaiter_.await_ready(); }
  template <class Promise>
  auto await_suspend(std::coroutine_handle<Promise> waiting) {
    if constexpr (std::is_same_v<decltype(awaiter_.await_suspend(waiting)), bool>) {
      const resumed_by kept = std::exchange(by_, {});
      resumed_by& by = by_;
      if (awaiter_.await_suspend(waiting)) return true;  // this may be gone
      by = kept;
      return false;
    } else {
      by_ = {};
      return awaiter_.await_suspend(waiting);
    }
  }
  decltype(auto) await_resume() { return awaiter_.await_resume(); }

 private:
  decltype(awaiter_of(std::declval<A>())) awaiter_;
  resumed_by& by_;
};

template <class T>
class future_promise;

// A coroutine that returns a future starts at once, on its caller's stack. Its result is stored when it
// returns, but published only after its variables and arguments were destroyed: what they held, such as a
// lock, is free by the time that the result can be seen.
template <class T>
class future_promise_base : public resumed_by {
 public:
  ~future_promise_base() {
    if (state_) state_->break_promise();  // destroyed while it awaited
  }

  future<T> get_return_object() { return future_access::make<T>(state_); }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  auto final_suspend() const noexcept {
    struct end {
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<future_promise<T>> ended) const noexcept {
        future_promise_base& its = ended.promise();
        const state_ref<future_state<T>> state = std::move(its.state_);
        continuation_list* const list = its.list;
        ended.destroy();
        if (list == nullptr) {
          state->publish();
        } else {
          state->publish(*list);
        }
      }
      void await_resume() const noexcept {}
    };
    return end{};
  }
  // A destructor may throw when a result is there already: that is the outcome then.
  void unhandled_exception() noexcept { state_->set_error(std::current_exception()); }

  template <class A>
  auto await_transform(A&& awaitable) {
    return forgetful_awaiter<A>(std::forward<A>(awaitable), *this);
  }

 protected:
  state_ref<future_state<T>> state_{new future_state<T>};
};

template <class T>
class future_promise : public future_promise_base<T> {
 public:
  template <class U = T>
  requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    if constexpr (std::is_reference_v<T>) {
      T result = static_cast<T>(std::forward<U>(value));
      this->state_->emplace(&result);
    } else {
      this->state_->emplace(static_cast<T>(std::forward<U>(value)));
    }
  }
};

template <>
class future_promise<void> : public future_promise_base<void> {
 public:
  void return_void() { state_->emplace(); }
};

}  // namespace detail

// The future is used up, as by get(). The coroutine is resumed by the fiber or thread that sets the result;
// if it awaits another coroutine, after that one's variables and arguments were destroyed. A coroutine may be
// destroyed while it awaits, and then is not resumed; but only while no other thread can set the result,
// since one that has begun to would resume what is being destroyed.
template <class T>
auto operator co_await(future<T>&& awaited) {
  return detail::future_awaiter<future<T>>(std::move(awaited));
}
template <class T>
auto operator co_await(future<T>& awaited) {
  return detail::future_awaiter<future<T>>(std::move(awaited));
}
template <class T>
auto operator co_await(const shared_future<T>& awaited) {
  return detail::future_awaiter<shared_future<T>>(awaited);
}

}  // namespace zsync

template <class T, class... Args>
struct std::coroutine_traits<zsync::future<T>, Args...> {
  using promise_type = zsync::detail::future_promise<T>;
};
