// A case of a select: an event that has been set.
#pragma once

#include <zsync/channel/event.hpp>
#include <zsync/sched/select_case.hpp>

#include <functional>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class F>
class event_case final : public select_case {
 public:
  event_case(event& watched, F handler) : event_(watched), handler_(std::move(handler)) {}

  bool attempt() override { return event_.try_wait(); }
  bool enlist(waiter& me) noexcept override { return event_.enlist(me); }
  void withdraw(waiter& me) noexcept override { event_.withdraw(me); }
  void run() override { std::invoke(handler_); }
  wait_subject subject() const noexcept override { return {wait_kind::event, &event_}; }

 private:
  event& event_;
  F handler_;
};

}  // namespace detail

// Fires when the event is set; one with automatic reset lets this select through, and nobody else, if it is
// this case that fires. handler().
template <class F>
[[nodiscard]] auto on_event(event& watched, F handler) {
  static_assert(std::is_invocable_v<F&>, "on_event's handler takes nothing");
  return detail::event_case<F>(watched, std::move(handler));
}

}  // namespace zsync
