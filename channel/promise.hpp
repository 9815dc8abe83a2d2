// The side that sets a future's result, as std::promise.
#pragma once

#include <zsync/channel/future.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

// What all promises have in common. One that goes without a result leaves broken_promise behind.
template <class T>
class promise_base {
 public:
  promise_base() : state_(new future_state<T>) {}
  promise_base(promise_base&&) noexcept = default;
  promise_base& operator=(promise_base&& other) noexcept {
    promise_base(std::move(other)).swap(*this);
    return *this;
  }
  ~promise_base() {
    if (state_) state_->break_promise();
  }

  // Once. Throws future_already_retrieved.
  [[nodiscard]] future<T> get_future() {
    state().retrieve();
    return future_access::make<T>(state_);
  }

  // Throws promise_already_satisfied.
  void set_exception(std::exception_ptr error) {
    const state_ref<future_state<T>> keep = checked();
    keep->fail(std::move(error));
    keep->publish();
  }

 protected:
  void swap(promise_base& other) noexcept { std::swap(state_, other.state_); }

  // Setting the result may end the life of this promise, so it holds the state by itself.
  template <class... From>
  void set(From&&... from) {
    const state_ref<future_state<T>> keep = checked();
    keep->emplace(std::forward<From>(from)...);
    keep->publish();
  }

  [[nodiscard]] const state_ref<future_state<T>>& checked() const {
    if (!state_) future_state_base::throw_error(future_errc::no_state);
    return state_;
  }
  [[nodiscard]] future_state<T>& state() const { return *checked(); }

  state_ref<future_state<T>> state_;
};

}  // namespace detail

// A promise of one result, which any fiber or thread may set, once. Setting it wakes all waiters and runs the
// functions that were given to then().
template <class T>
class promise : public detail::promise_base<T> {
 public:
  void set_value(const T& value) { this->set(value); }
  void set_value(T&& value) { this->set(std::move(value)); }
  void swap(promise& other) noexcept { detail::promise_base<T>::swap(other); }
};

template <class T>
class promise<T&> : public detail::promise_base<T&> {
 public:
  void set_value(T& value) { this->set(std::addressof(value)); }
  void swap(promise& other) noexcept { detail::promise_base<T&>::swap(other); }
};

template <>
class promise<void> : public detail::promise_base<void> {
 public:
  void set_value() { this->set(); }
  void swap(promise& other) noexcept { detail::promise_base<void>::swap(other); }
};

// A future that is ready from the start.
template <class T>
[[nodiscard]] future<std::decay_t<T>> make_ready_future(T&& value) {
  promise<std::decay_t<T>> p;
  p.set_value(std::forward<T>(value));
  return p.get_future();
}
[[nodiscard]] inline future<void> make_ready_future() {
  promise<void> p;
  p.set_value();
  return p.get_future();
}
template <class T>
[[nodiscard]] future<T> make_exceptional_future(std::exception_ptr error) {
  promise<T> p;
  p.set_exception(std::move(error));
  return p.get_future();
}

}  // namespace zsync
