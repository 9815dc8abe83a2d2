// A future of whichever of several futures is ready first.
#pragma once

#include <zsync/channel/when_all.hpp>

#include <cstddef>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace zsync {

// The place of the first future among the arguments, and its result; std::monostate for void.
template <class T>
struct when_any_result {
  std::size_t index;
  T value;
};

namespace detail {

template <class First, class... Rest>
struct any_of {
  static constexpr bool all_same = (std::is_same_v<First, Rest> && ...);
  using value = std::conditional_t<all_same, result_element<First>,
                                   std::variant<held_element<First>, held_element<Rest>...>>;
};

// The first to become ready sets the result; the others are dropped.
template <class Result, class T, class Make>
void compete(const state_ref<future_state<Result>>& to, future<T> from, Make make) {
  future_state_base& state = future_access::state(from);
  when_ready(state, [to, from = std::move(from), make](continuation_list& more) mutable {
    if (!to->begin()) return;
    to->keep_result_of([&]() -> Result { return make(from); });
    to->publish(more);
  });
}

template <class Result>
state_ref<future_state<Result>> new_state() {
  return state_ref<future_state<Result>>(new future_state<Result>);
}

}  // namespace detail

// The result of the first that is ready, be it an exception. The others go on; their results are dropped. If
// the types differ, `value` is a std::variant that holds alternative `index`, a reference as a
// std::reference_wrapper. Of none: does not compile.
template <class... Ts>
requires(sizeof...(Ts) > 0) [[nodiscard]] auto when_any(future<Ts>... futures)
    -> future<when_any_result<typename detail::any_of<Ts...>::value>> {
  using value = typename detail::any_of<Ts...>::value;
  using result = when_any_result<value>;
  const auto to = detail::new_state<result>();
  auto first = detail::future_access::make<result>(to);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (detail::compete(to, std::move(futures),
                     [](auto& from) {
                       if constexpr (detail::any_of<Ts...>::all_same) {
                         return result{I, detail::take_result(from)};
                       } else {
                         return result{I, value(std::in_place_index<I>, detail::take_result(from))};
                       }
                     }),
     ...);
  }
  (std::index_sequence_for<Ts...>{});
  return first;
}

// Likewise, of any number. Throws std::invalid_argument for none, since none would ever be ready.
template <class T>
[[nodiscard]] auto when_any(std::vector<future<T>> futures)
    -> future<when_any_result<detail::result_element<T>>> {
  using result = when_any_result<detail::result_element<T>>;
  if (futures.empty()) throw std::invalid_argument("when_any of no futures");
  const auto to = detail::new_state<result>();
  auto first = detail::future_access::make<result>(to);
  for (std::size_t i = 0; i < futures.size(); ++i) {
    detail::compete(to, std::move(futures[i]), [i](auto& from) {
      return result{i, detail::take_result(from)};
    });
  }
  return first;
}

// The result of the first that is ready, be it an exception, whichever it is. Of none: does not compile.
template <class T, class... Ts>
requires(std::is_same_v<T, Ts>&&...) [[nodiscard]] future<T> race(future<T> one, future<Ts>... others) {
  const auto to = detail::new_state<T>();
  auto first = detail::future_access::make<T>(to);
  detail::compete(to, std::move(one), [](auto& from) -> T { return from.get(); });
  (detail::compete(to, std::move(others), [](auto& from) -> T { return from.get(); }), ...);
  return first;
}

// Likewise, of any number. Throws std::invalid_argument for none, since none would ever be ready.
template <class T>
[[nodiscard]] future<T> race(std::vector<future<T>> futures) {
  if (futures.empty()) throw std::invalid_argument("a race of no futures");
  const auto to = detail::new_state<T>();
  auto first = detail::future_access::make<T>(to);
  for (auto& one : futures) detail::compete(to, std::move(one), [](auto& from) -> T { return from.get(); });
  return first;
}

}  // namespace zsync
