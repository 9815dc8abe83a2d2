// Values that each fiber has for itself.
#pragma once

#include <zsync/fiber/control.hpp>

#include <cstddef>
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

// A variable of which each fiber has its own, made when that fiber first uses it, from the initial value
// given here, and destroyed when that fiber ends, the youngest first. On a plain thread the thread has one.
// The fiber_local itself must outlive its users; a static one does. It may be used from any thread.
template <class T>
class fiber_local {
 public:
  fiber_local() = default;
  explicit fiber_local(T initial) : initial_(std::move(initial)) {}
  fiber_local(const fiber_local&) = delete;
  fiber_local& operator=(const fiber_local&) = delete;

  // Throws what copying the initial value throws, and std::bad_alloc.
  T& operator*() const {
    if (detail::local_value* const found = detail::find_local(this))
      return static_cast<holder*>(found)->value;
    auto* const fresh = new holder(initial_);
    fresh->key = this;
    fresh->destroy = [](detail::local_value& v) noexcept { delete static_cast<holder*>(&v); };
    detail::add_local(*fresh);
    return fresh->value;
  }
  T* operator->() const { return &**this; }

 private:
  struct holder : detail::local_value {
    explicit holder(const T& initial) : value(initial) {}
    T value;
  };

  T initial_{};
};

}  // namespace zsync
