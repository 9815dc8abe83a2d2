// Waiting for several things at once, and doing exactly one of them.
//
//     select(on_recv(requests, [&](std::optional<request> r) { ... }),
//            on_send(answers, answer, [] { ... }),
//            after(1s, [] { ... }));
#pragma once

#include <zsync/channel/on_broadcast.hpp>
#include <zsync/channel/on_channel.hpp>
#include <zsync/channel/on_event.hpp>
#include <zsync/channel/on_future.hpp>
#include <zsync/channel/on_join.hpp>
#include <zsync/sched/select_case.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// Waits until one of the cases has fired, and returns which. Allocates nothing, however many there are.
std::size_t select_one(std::span<select_case* const> cases);

template <class F>
class after_case final : public select_case {
 public:
  after_case(deadline when, F handler) : select_case(role::timer, when), handler_(std::move(handler)) {}
  void run() override { std::invoke(handler_); }

 private:
  F handler_;
};

template <class F>
class otherwise_case final : public select_case {
 public:
  explicit otherwise_case(F handler) : select_case(role::fallback), handler_(std::move(handler)) {}
  void run() override { std::invoke(handler_); }

 private:
  F handler_;
};

// A case that is switched off becomes one that never fires: a timer without a deadline.
template <class Case>
class conditional_case final : public select_case {
 public:
  conditional_case(bool on, Case& inner)
      : select_case(on ? inner.part : role::timer, on ? inner.until : deadline::never()), inner_(inner) {}

  bool looks_ready() const noexcept override { return inner_.looks_ready(); }
  bool attempt() override { return inner_.attempt(); }
  bool enlist(waiter& at) noexcept override { return inner_.enlist(at); }
  void withdraw(waiter& at) noexcept override { inner_.withdraw(at); }
  void clean_up() noexcept override { inner_.clean_up(); }
  bool complete() override { return inner_.complete(); }
  void run() override { inner_.run(); }
  wait_subject subject() const noexcept override { return inner_.subject(); }

 private:
  Case& inner_;
};

}  // namespace detail

// Waits until one of the cases can go on, performs it, calls its handler and returns its index. The cases are
// tried in order, around from a random one, and the first that can go on is taken: so none starves, although
// a case that follows others that are not ready is taken more often. A case on a closed channel can always go
// on. The same channel may stand in several cases, also in both directions; a select never meets itself.
// Cases refer to their channels, futures and sockets: make them in the call. Waiting is a cancellation point,
// and ends with std::system_error(timed_out) when a deadline_scope does.
template <class... Cases>
std::size_t select(Cases&&... cases) {
  static_assert(sizeof...(Cases) > 0 && sizeof...(Cases) < 65536, "a select needs something to wait for");
  const std::array<detail::select_case*, sizeof...(Cases)> all{&cases...};
  const std::size_t fired = detail::select_one(all);
  all[fired]->run();
  return fired;
}

// Fires when that much time has passed and no other case has fired.
template <class Rep, class Period, class F>
[[nodiscard]] auto after(std::chrono::duration<Rep, Period> wait, F handler) {
  return detail::after_case<F>(deadline::after(wait), std::move(handler));
}

// Likewise, when that time has come: a deadline, or a point of any clock.
template <class F>
[[nodiscard]] auto at(deadline when, F handler) {
  return detail::after_case<F>(when, std::move(handler));
}

// The given case if `on`, and otherwise one that never fires: for a channel that is closed, say, whose case
// could always go on. Make it, like the case, in the call of select().
template <class Case>
[[nodiscard]] auto only_if(bool on, Case&& inner) {
  static_assert(!std::is_lvalue_reference_v<Case>, "make the case in the call of select()");
  return detail::conditional_case<Case>(on, inner);
}

// Fires at once if no other case can go on, so an after() beside it never fires. A loop around such a select
// never waits: it keeps a processor busy, and is not ended by a cancellation. Every now and then it lets
// other fibers run, so do not hold a std::mutex there.
template <class F>
[[nodiscard]] auto otherwise(F handler) {
  return detail::otherwise_case<F>(std::move(handler));
}

}  // namespace zsync
