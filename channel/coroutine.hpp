// C++20 coroutines: they co_await futures, may return futures, and fibers wait for them with zsync::await().
#pragma once

#include <zsync/channel/promise.hpp>

#include <atomic>
#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// Resumes the coroutine where the result is set, as part of setting it; like then()'s functions, what follows
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
  bool await_suspend(std::coroutine_handle<> waiting) {
    waiting_ = waiting;
    if (future_access::state(future_).add(*this)) return true;  // and perhaps resumed, and gone, already
    waiting_ = nullptr;
    return false;
  }
  decltype(auto) await_resume() { return future_.get(); }

  void run(continuation_list& /*more*/) noexcept override { std::exchange(waiting_, nullptr).resume(); }

 private:
  Future future_;
  std::coroutine_handle<> waiting_;
};

// A coroutine that returns a future starts at once, on its caller's stack.
template <class T>
class future_promise_base {
 public:
  future<T> get_return_object() { return result_.get_future(); }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  std::suspend_never final_suspend() const noexcept { return {}; }
  void unhandled_exception() { result_.set_exception(std::current_exception()); }

 protected:
  promise<T> result_;
};

template <class T>
class future_promise : public future_promise_base<T> {
 public:
  template <class U>
  requires std::convertible_to<U&&, T>
  void return_value(U&& value) { this->result_.set_value(static_cast<T>(std::forward<U>(value))); }
};

template <>
class future_promise<void> : public future_promise_base<void> {
 public:
  void return_void() { result_.set_value(); }
};

}  // namespace detail

// The future is used up, as by get(). The coroutine goes on in whoever sets the result. It may be destroyed
// while it awaits, and then is not resumed, but only when no other thread may set the result meanwhile: one
// that has begun to, resumes what is being destroyed.
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
