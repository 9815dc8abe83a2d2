// A case of a select: the end of a fiber.
#pragma once

#include <zsync/sched/fiber.hpp>
#include <zsync/sched/select_case.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class F>
class join_case final : public select_case {
 public:
  join_case(task& watched, F handler) : task_(watched), handler_(std::move(handler)) {}

  bool attempt() override { return task_.done(); }
  bool enlist(waiter& me) noexcept override { return !task_.done_or_queue(me); }
  void withdraw(waiter& me) noexcept override { task_.remove(me); }
  void run() override { std::invoke(handler_); }
  wait_subject subject() const noexcept override { return {wait_kind::join, &task_}; }

 private:
  task& task_;
  F handler_;
};

}  // namespace detail

// Fires when the fiber has ended, without taking its result: join() will not wait then. handler(). Throws for
// an empty handle, as join() does.
template <class T, class F>
[[nodiscard]] auto on_join(const fiber<T>& watched, F handler) {
  static_assert(std::is_invocable_v<F&>,
                "on_join's handler takes nothing: join() gives the result, and does not wait");
  if (!watched.joinable()) detail::join_nothing();
  return detail::join_case<F>(*watched.task(), std::move(handler));
}

}  // namespace zsync
