// A result that is not there yet, as std::future and std::shared_future.
#pragma once

#include <zsync/channel/future_state.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace zsync {

template <class T>
class promise;
template <class T>
class future;
template <class T>
class shared_future;

using std::future_errc;
using std::future_error;
using std::future_status;

namespace detail {

struct future_access;

template <class T>
struct unwrapped {
  using type = T;
};
template <class T>
struct unwrapped<future<T>> {
  using type = T;
};
template <class T>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<future<T>> = true;
template <class T>
inline constexpr bool is_any_future = is_future<T>;
template <class T>
inline constexpr bool is_any_future<shared_future<T>> = true;

// What then()'s function gets: the value where it takes that, else the future.
template <class F, class T>
inline constexpr bool takes_value = std::is_invocable_v<F, T>;
template <class F>
inline constexpr bool takes_value<F, void> = std::is_invocable_v<F>;

template <class F, class Value, class Future, bool = takes_value<F, Value>>
struct then_call : std::invoke_result<F, Value> {};
template <class F, class Future>
struct then_call<F, void, Future, true> : std::invoke_result<F> {};
template <class F, class Value, class Future>
struct then_call<F, Value, Future, false> : std::invoke_result<F, Future> {};

template <class F, class Value, class Future>
consteval bool can_follow() {
  constexpr bool yes = takes_value<F, Value> || std::is_invocable_v<F, Future>;
  static_assert(yes, "then() needs a function of the result, of nothing if that is void, or of the future");
  return yes;
}

// `Value` is what from.get() gives.
template <class Returned, class Value, class Future, class F>
future<typename unwrapped<Returned>::type> continue_with(Future from, F&& f);

// What shared_future<T>::get() returns.
template <class T>
struct shared_result {
  using type = const T&;
};
template <class T>
struct shared_result<T&> {
  using type = T&;
};
template <>
struct shared_result<void> {
  using type = void;
};

// What both kinds of future can be asked. Waiting is a cancellation point and obeys deadline scopes.
template <class T>
class future_base {
 public:
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
  [[nodiscard]] bool is_ready() const { return state().is_ready(); }

  void wait() const { state().wait(deadline::never()); }
  template <class Rep, class Period>
  future_status wait_for(std::chrono::duration<Rep, Period> at_most) const {
    return is_ready() ? future_status::ready : wait_until(deadline::after(at_most));
  }
  future_status wait_until(deadline until) const {
    return state().wait(until) ? future_status::ready : future_status::timeout;
  }

 protected:
  friend struct future_access;

  future_base() noexcept = default;
  explicit future_base(future_state<T>* adopted) noexcept : state_(adopted) {}
  future_base(future_base&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  ~future_base() {
    if (state_ != nullptr) state_->drop_future();
  }
  void swap(future_base& other) noexcept { std::swap(state_, other.state_); }

  // Throws no_state for a future that has none.
  [[nodiscard]] future_state<T>& state() const {
    if (state_ == nullptr) [[unlikely]]
      future_state_base::throw_error(future_errc::no_state);
    return *state_;
  }

  future_state<T>* state_ = nullptr;
};

}  // namespace detail

// To be used by one fiber or thread at a time, wherever its promise is. Coroutines may co_await it: see
// coroutine.hpp.
template <class T>
class [[nodiscard]] future : public detail::future_base<T> {
 public:
  future() noexcept = default;
  future(future&&) noexcept = default;
  future& operator=(future&& other) noexcept {
    future(std::move(other)).swap(*this);
    return *this;
  }

  // Waits for the result and returns it, or rethrows. Afterwards the future is not valid.
  T get() {
    this->state().wait(deadline::never());
    const future used = std::move(*this);
    if constexpr (std::is_void_v<T>) {
      (void)used.state_->last_value();
    } else if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*used.state_->last_value());
    } else {
      return std::move(used.state_->last_value());
    }
  }

  shared_future<T> share() noexcept { return shared_future<T>(std::move(*this)); }

  // A future of the result of f(value), or of f(future) if f takes that. f runs where the result is set, as
  // part of setting it, or in this call if the result is there already: it should be short, and spawn what is
  // not. If this future ends with an exception, an f that takes a value is not called, and the exception is
  // passed on. If f returns a future, the result is that future's. This future is not valid afterwards.
  template <class F>
  auto then(F&& f) {
    if constexpr (detail::can_follow<std::decay_t<F>, T, future>()) {
      using returned = typename detail::then_call<std::decay_t<F>, T, future>::type;
      return detail::continue_with<returned, T>(std::move(*this), std::forward<F>(f));
    }
  }

 private:
  friend struct detail::future_access;
  explicit future(detail::future_state<T>* adopted) noexcept : detail::future_base<T>(adopted) {}
};

// Copies share one result; each may be used by another fiber or thread.
template <class T>
class [[nodiscard]] shared_future : public detail::future_base<T> {
  using base = detail::future_base<T>;

 public:
  shared_future() noexcept = default;
  shared_future(future<T>&& other) noexcept : base(std::move(other)) {}  // NOLINT: implicit, as in std
  shared_future(shared_future&&) noexcept = default;
  shared_future(const shared_future& other) noexcept : base(other.state_) {
    if (this->state_ == nullptr) return;
    this->state_->retain();
    this->state_->add_future();
  }
  shared_future& operator=(shared_future other) noexcept {
    other.swap(*this);
    return *this;
  }

  // Waits for the result: a reference to it, or its exception.
  typename detail::shared_result<T>::type get() const {
    this->state().wait(deadline::never());
    if constexpr (std::is_void_v<T>) {
      (void)this->state_->value();
    } else if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*this->state_->value());
    } else {
      return this->state_->value();
    }
  }

  // As future::then(), but this future stays valid, and then() may be called any number of times: f gets what
  // get() returns, or the shared future. To give a shared future to when_all() or when_any(), give them what
  // its then() returns.
  template <class F>
  auto then(F&& f) const {
    using value = typename detail::shared_result<T>::type;
    if constexpr (detail::can_follow<std::decay_t<F>, value, shared_future>()) {
      using returned = typename detail::then_call<std::decay_t<F>, value, shared_future>::type;
      return detail::continue_with<returned, value>(*this, std::forward<F>(f));
    }
  }
};

namespace detail {

// Makes futures and shows what is behind them.
struct future_access {
  template <class T>
  static future<T> make(state_ref<future_state<T>> state) noexcept {
    return future<T>(state.detach());
  }
  template <class T>
  static future_state<T>& state(const future_base<T>& f) {
    return f.state();
  }
};

// Calls `run` with what is to run next as soon as the state is ready; if it is already, adds that to `more`.
// `run` keeps the state alive, by a future.
template <class Run>
void when_ready(future_state_base& state, Run run, continuation_list& more) {
  struct node final : continuation {
    explicit node(Run&& r) : call(std::move(r)) {}
    void run(continuation_list& more) noexcept override {
      const std::unique_ptr<node> self(this);
      call(more);
    }
    Run call;
  };
  auto owned = std::make_unique<node>(std::move(run));
  if (!state.add(*owned)) more.add(*owned);
  (void)owned.release();
}

// The same, but here and now if it is ready already.
template <class Run>
void when_ready(future_state_base& state, Run run) {
  continuation_list now;
  when_ready(state, std::move(run), now);
  now.run_all();
}

// Gives `to`, which the caller has begun, the result of `from`.
template <class T>
void forward_result(future<T> from, state_ref<future_state<T>> to, continuation_list& more) {
  future_state_base& state = future_access::state(from);
  when_ready(
      state,
      [from = std::move(from), to = std::move(to)](continuation_list& next) mutable {
        to->keep_result_of([&]() -> T { return from.get(); });
        to->publish(next);
      },
      more);
}

template <class Value, class F, class Future>
decltype(auto) call_with(F& f, Future& from) {
  if constexpr (!takes_value<F, Value>) {
    return std::invoke(std::move(f), std::move(from));
  } else if constexpr (std::is_void_v<Value>) {
    from.get();
    return std::invoke(std::move(f));
  } else {
    return std::invoke(std::move(f), from.get());
  }
}

template <class Returned, class Value, class Future, class F>
future<typename unwrapped<Returned>::type> continue_with(Future from, F&& f) {
  using result = typename unwrapped<Returned>::type;
  state_ref<future_state<result>> to(new future_state<result>);
  (void)to->begin();
  auto outcome = future_access::make<result>(to);
  future_state_base& state = future_access::state(from);
  when_ready(state, [from = std::move(from), to = std::move(to),
                     call = std::decay_t<F>(std::forward<F>(f))](continuation_list& more) mutable {
    if constexpr (is_future<Returned>) {
      try {
        forward_result(Returned(call_with<Value>(call, from)), to, more);
        return;
      } catch (...) {
        to->set_error(std::current_exception());
      }
    } else {
      to->keep_result_of([&]() -> result { return call_with<Value>(call, from); });
    }
    to->publish(more);
  });
  return outcome;
}

}  // namespace detail
}  // namespace zsync
