// Values that each fiber has for itself.
#pragma once

#include <zsync/fiber/control.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <type_traits>
#include <utility>

namespace zsync {
namespace detail {

// One entry of a fiber's table; knows how to end its value.
struct local_value {
  void (*destroy)(local_value&) noexcept;
  const void* key = nullptr;
  local_value* next = nullptr;
};

local_value* find_local(const void* key) noexcept;
void add_local(local_value& value);
void destroy_locals(local_table* table) noexcept;

}  // namespace detail

// A variable of which each fiber has its own, made when that fiber first uses it, a copy of the initial value
// given here or what the function given here returns, and destroyed when that fiber ends, the youngest first.
// On a plain thread the thread has one. The fiber_local itself must outlive its users; a static one does. It
// may be used from any thread.
template <class T>
class fiber_local {
 public:
  fiber_local() requires(std::default_initializable<T>) : make_([] { return T(); }) {}
  explicit fiber_local(T initial) requires(std::copy_constructible<T>)
      : make_([copied = std::move(initial)] { return copied; }) {}
  // What make() returns: for what cannot be copied, or differs from fiber to fiber. It is called by the
  // fiber, by several at a time.
  template <class F>
  requires(!std::convertible_to<F, T> && std::is_invocable_r_v<T, F&>) explicit fiber_local(F make)
      : make_(std::move(make)) {}
  fiber_local(const fiber_local&) = delete;
  fiber_local& operator=(const fiber_local&) = delete;

  // Throws what making the value throws, and std::bad_alloc.
  T& operator*() const {
    if (detail::local_value* const found = detail::find_local(this))
      return static_cast<holder*>(found)->value;
    auto* const fresh = new holder(make_);
    fresh->key = this;
    fresh->destroy = [](detail::local_value& v) noexcept { delete static_cast<holder*>(&v); };
    detail::add_local(*fresh);
    return fresh->value;
  }
  T* operator->() const { return &**this; }

 private:
  struct holder : detail::local_value {
    explicit holder(const std::function<T()>& make) : value(make()) {}
    T value;
  };

  const std::function<T()> make_;
};

}  // namespace zsync
