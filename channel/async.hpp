// Running a function in a fiber of its own, for its result, as std::async.
#pragma once

#include <zsync/channel/promise.hpp>
#include <zsync/fiber/code_address.hpp>
#include <zsync/sched/fiber.hpp>

#include <functional>
#include <future>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// The fiber that sets the result. The function and its arguments are destroyed as soon as the call is over:
// they are gone by the time that anybody gets the result.
template <class T, class F, class... Args>
class async_task final : public task {
 public:
  template <class G, class... As>
  explicit async_task(const state_ref<future_state<T>>& to, G&& f, As&&... args)
      : to_(to), call_(std::in_place, std::forward<G>(f), std::forward<As>(args)...) {}

  void run() override {
    (void)to_->begin();
    to_->keep_result_of([this]() -> T {
      struct dropper {
        std::optional<std::tuple<F, Args...>>& call;
        ~dropper() { call.reset(); }
      } drop{call_};
      return std::apply(
          [](F& f, Args&... args) -> T { return std::invoke(std::move(f), std::move(args)...); }, *call_);
    });
    to_->publish();
    to_ = {};  // here, because the end of a result may wait
    this->finish();
  }

 private:
  // It will not run: there is no stack for it.
  void on_abandon(const std::exception_ptr& failure) noexcept override {
    if (to_->begin()) to_->set_error(failure);
  }
  void drop_call() noexcept override {
    call_.reset();
    to_->publish();
    to_ = {};
    drop_failure();
  }

  state_ref<future_state<T>> to_;
  std::optional<std::tuple<F, Args...>> call_;
};

template <class F, class... Args>
inline constexpr bool is_callable = std::is_invocable_v<std::decay_t<F>, std::decay_t<Args>...>;

// Well-formed for what cannot be called, too, so that the error is start_async()'s and not a missing
// overload.
template <class F, class... Args>
using async_future =
    future<typename std::conditional_t<is_callable<F, Args...>,
                                       std::invoke_result<std::decay_t<F>, std::decay_t<Args>...>,
                                       std::type_identity<void>>::type>;

template <class F, class... Args>
async_future<F, Args...> start_async(spawn_site site, F&& f, Args&&... args) {
  static_assert(is_callable<F, Args...>,
                "async() needs a function that can be called with copies of its arguments: "
                "what it is to refer to is passed by std::ref()");
  if constexpr (is_callable<F, Args...>) {
    using result = spawn_result<F, Args...>;
    state_ref<future_state<result>> state(new future_state<result>);
    state->set_awaited();
    auto* const runs = new async_task<result, std::decay_t<F>, std::decay_t<Args>...>(
        state, std::forward<F>(f), std::forward<Args>(args)...);
    launch(*runs, {}, site);
    runs->release();  // nobody has a handle of it
    return future_access::make<result>(std::move(state));
  }
}

// Not constexpr, so a policy without std::launch::async does not compile.
inline void a_deferred_function_would_never_run() noexcept {}

}  // namespace detail

// A std::launch constant that includes std::launch::async, alone or together with others; async is what is
// chosen. A deferred function would run in the first caller that waits for it, but nobody waits for what
// then(), when_all(), select() and co_await are given.
class async_policy {
 public:
  consteval async_policy(std::launch policy) {  // NOLINT: implicit, so that std's arguments do
    if ((policy & std::launch::async) != std::launch::async) detail::a_deferred_function_would_never_run();
  }
};

// Runs f(args...), all of them decayed copies, in a new fiber of the current runtime. Throws
// std::system_error where spawn() does; if there is no stack for the fiber later on, that error is the
// result, and its continuations run outside of any fiber. The future becomes ready after f and args were
// destroyed. As with std::async, the destructor of the last future that refers to the result waits for it, so
// f may refer to whatever outlives the future; nothing ends that wait early.
template <class F, class... Args>
requires(!std::is_same_v<std::remove_cvref_t<F>, std::launch>)
    [[gnu::always_inline]] inline auto async(F&& f, Args&&... args) -> detail::async_future<F, Args...> {
  return detail::start_async({nullptr, detail::code_address()}, std::forward<F>(f),
                             std::forward<Args>(args)...);
}
template <class F, class... Args>
[[gnu::always_inline]] inline auto async(async_policy /*policy*/, F&& f, Args&&... args)
    -> detail::async_future<F, Args...> {
  return detail::start_async({nullptr, detail::code_address()}, std::forward<F>(f),
                             std::forward<Args>(args)...);
}

}  // namespace zsync
