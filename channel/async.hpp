// Running a function in a fiber of its own, for its result, as std::async.
#pragma once

#include <zsync/channel/promise.hpp>
#include <zsync/sched/fiber.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace zsync {

// f(args...), all decayed, runs in a new fiber of the current runtime; throws std::system_error where spawn()
// does. As with std::async, the last future of the result waits for it before it goes, so f may refer to what
// outlives the future; nothing ends that wait early.
template <class F, class... Args>
auto async(F&& f, Args&&... args) -> future<detail::spawn_result<F, Args...>> {
  using result = detail::spawn_result<F, Args...>;

  // Held by the fiber: should it be thrown away before it runs, the promise is broken.
  struct setter {
    explicit setter(detail::future_state<result>* s) noexcept : state(s) {}
    setter(setter&&) noexcept = default;
    ~setter() {
      if (state) state->break_promise();
    }
    detail::state_ref<detail::future_state<result>> state;
  };

  detail::state_ref<detail::future_state<result>> state(new detail::future_state<result>);
  state->set_awaited();
  setter to(state.get());
  state->retain();  // the setter's
  spawn(
      [to = std::move(to)](std::decay_t<F>&& call, std::decay_t<Args>&&... with) mutable {
        if (!to.state->begin()) return;
        to.state->keep_result_of(
            [&]() -> result { return std::invoke(std::move(call), std::move(with)...); });
        to.state->publish();
      },
      std::forward<F>(f), std::forward<Args>(args)...)
      .detach();
  return detail::future_access::make<result>(std::move(state));
}

}  // namespace zsync
