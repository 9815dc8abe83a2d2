// A case of a select: a future that is ready.
#pragma once

#include <zsync/channel/future.hpp>
#include <zsync/sched/select_case.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class F>
class future_case final : public select_case {
 public:
  future_case(future_state_base& watched, F handler) : state_(watched), handler_(std::move(handler)) {}

  bool looks_ready() const noexcept override { return state_.looks_ready(); }
  bool attempt() override { return state_.is_ready(); }
  bool enlist(waiter& me) noexcept override { return state_.enlist(me); }
  void withdraw(waiter& me) noexcept override { state_.withdraw(me); }
  void run() override { std::invoke(handler_); }
  wait_subject subject() const noexcept override { return {wait_kind::future, &state_}; }

 private:
  future_state_base& state_;
  F handler_;
};

}  // namespace detail

// Fires when the future, or shared future, is ready, without taking its result: get() will not wait then.
// handler(). Throws std::future_error(no_state) for a future that has none.
template <class T, class F>
[[nodiscard]] auto on_future(const detail::future_base<T>& watched, F handler) {
  static_assert(std::is_invocable_v<F&>,
                "on_future's handler takes nothing: get() gives the result, and does not wait");
  return detail::future_case<F>(detail::future_access::state(watched), std::move(handler));
}

}  // namespace zsync
