// A fiber, or a plain thread, waits for whatever a C++20 coroutine could co_await.
#pragma once

#include <zsync/channel/coroutine.hpp>
#include <zsync/channel/event.hpp>
#include <zsync/sched/scope.hpp>

#include <coroutine>
#include <exception>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class A>
using await_result =
    decltype(std::declval<std::add_lvalue_reference_t<decltype(awaiter_of(std::declval<A>()))>>()
                 .await_resume());

// A coroutine that does nothing but await, and says when it is through. It suspends at its end, so that the
// caller that waits for it can destroy its frame.
class await_driver {
 public:
  struct promise_type {
    explicit promise_type(auto&, event& e, auto&) noexcept : through(e) {}
    await_driver get_return_object() noexcept {
      return await_driver(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    auto final_suspend() const noexcept {
      struct tell {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> ended) const noexcept {
          ended.promise().through.set();
        }
        void await_resume() const noexcept {}
      };
      return tell{};
    }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }  // it catches all

    event& through;
  };

  await_driver(await_driver&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
  ~await_driver() {
    if (coroutine_) coroutine_.destroy();
  }

  void start() { coroutine_.resume(); }

 private:
  explicit await_driver(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

  std::coroutine_handle<promise_type> coroutine_;
};

template <class A>
await_driver drive(A& awaitable, event& /*through*/, future_state<await_result<A>>& result) {
  using value = await_result<A>;
  try {
    auto&& awaiter = awaiter_of(std::forward<A>(awaitable));  // named, so that no compiler makes a copy of it
    if constexpr (std::is_void_v<value>) {
      co_await awaiter;
      result.emplace();
    } else if constexpr (std::is_reference_v<value>) {
      result.emplace(&(co_await awaiter));
    } else {
      result.emplace(co_await awaiter);
    }
  } catch (...) {
    result.fail(std::current_exception());
  }
}

}  // namespace detail

// Starts the awaitable on the caller's stack, waits until it is through, and returns or throws what co_await
// would. A coroutine cannot be told to stop, so neither cancellation nor a deadline scope ends this wait; of
// a future, they do.
template <class A>
auto await(A&& awaitable) -> detail::await_result<A> {
  if constexpr (detail::is_any_future<std::remove_cvref_t<A>>) {
    return awaitable.get();
  } else {
    using value = detail::await_result<A>;
    event through;
    detail::future_state<value> result;
    detail::await_driver driver = detail::drive<A>(awaitable, through, result);
    driver.start();
    {
      const cancellation_shield uncancelled;
      const deadline_shield unhurried;
      through.wait();
    }
    if constexpr (std::is_void_v<value>) {
      (void)result.value();
    } else if constexpr (std::is_reference_v<value>) {
      return static_cast<value>(*result.value());
    } else {
      return std::move(result.value());
    }
  }
}

}  // namespace zsync
