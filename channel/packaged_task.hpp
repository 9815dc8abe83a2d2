// A function whose result goes to a future, as std::packaged_task.
#pragma once

#include <zsync/channel/promise.hpp>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// Of a function object's one call operator.
template <class Member>
struct call_signature;
template <class R, class C, class... Args>
struct call_signature<R (C::*)(Args...)> {
  using type = R(Args...);
};
template <class R, class C, class... Args>
struct call_signature<R (C::*)(Args...) const> {
  using type = R(Args...);
};
template <class R, class C, class... Args>
struct call_signature<R (C::*)(Args...) noexcept> {
  using type = R(Args...);
};
template <class R, class C, class... Args>
struct call_signature<R (C::*)(Args...) const noexcept> {
  using type = R(Args...);
};

}  // namespace detail

template <class Signature>
class packaged_task;

// Called once, by any fiber or thread.
template <class R, class... Args>
class packaged_task<R(Args...)> {
 public:
  packaged_task() noexcept = default;
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, packaged_task> &&
           std::is_invocable_r_v<R, std::decay_t<F>&, Args...>) explicit packaged_task(F&& f)
      : call_(std::make_unique<calling<std::decay_t<F>>>(std::forward<F>(f))), state_(fresh()) {}
  packaged_task(packaged_task&&) noexcept = default;
  packaged_task& operator=(packaged_task&& other) noexcept {
    packaged_task(std::move(other)).swap(*this);
    return *this;
  }
  ~packaged_task() {
    if (state_) state_->break_promise();
  }

  [[nodiscard]] bool valid() const noexcept { return static_cast<bool>(state_); }
  void swap(packaged_task& other) noexcept {
    std::swap(call_, other.call_);
    std::swap(state_, other.state_);
  }

  // Once. Throws future_already_retrieved.
  [[nodiscard]] future<R> get_future() {
    const auto state = checked();
    state->retrieve();
    return detail::future_access::make<R>(state);
  }

  // Throws promise_already_satisfied the second time. What the function throws goes to the future.
  void operator()(Args... args) {
    const auto state = checked();
    if (!state->begin()) detail::future_state_base::throw_error(future_errc::promise_already_satisfied);
    state->keep_result_of([&]() -> R { return call_->invoke(std::forward<Args>(args)...); });
    state->publish();
  }

  // A new future for another call of the same function.
  void reset() {
    (void)checked();
    auto next = fresh();
    state_->break_promise();
    state_ = std::move(next);
  }

 private:
  using shared = detail::state_ref<detail::future_state<R>>;

  struct callable {
    virtual ~callable() = default;
    virtual R invoke(Args&&... args) = 0;
  };
  template <class F>
  struct calling final : callable {
    template <class G>
    explicit calling(G&& f) : function(std::forward<G>(f)) {}
    R invoke(Args&&... args) override {
      if constexpr (std::is_void_v<R>) {
        std::invoke(function, std::forward<Args>(args)...);
      } else {
        return std::invoke(function, std::forward<Args>(args)...);
      }
    }
    F function;
  };

  static shared fresh() { return shared(new detail::future_state<R>); }
  [[nodiscard]] shared checked() const {
    if (!state_) detail::future_state_base::throw_error(future_errc::no_state);
    return state_;
  }

  std::unique_ptr<callable> call_;
  shared state_;
};

template <class R, class... Args>
packaged_task(R (*)(Args...)) -> packaged_task<R(Args...)>;
template <class F>
packaged_task(F) -> packaged_task<typename detail::call_signature<decltype(&F::operator())>::type>;

}  // namespace zsync
