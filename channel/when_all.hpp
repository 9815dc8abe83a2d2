// A future of many futures' results.
#pragma once

#include <zsync/channel/promise.hpp>

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace zsync {

namespace detail {

// T as an element of a tuple, in which void cannot stand.
template <class T>
using result_element = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

// T as an element of an optional, a variant or a vector, in which references cannot stand either.
template <class T>
using held_element =
    std::conditional_t<std::is_reference_v<T>, std::reference_wrapper<std::remove_reference_t<T>>,
                       result_element<T>>;

template <class T>
result_element<T> take_result(future<T>& from) {
  if constexpr (std::is_void_v<T>) {
    from.get();
    return {};
  } else {
    return from.get();
  }
}

// Collects results until none is missing, or one has failed; whichever comes first sets the result.
template <class Results>
class all_results {
 public:
  all_results(std::size_t missing, Results&& places) : missing_(missing), places_(std::move(places)) {}

  [[nodiscard]] future<Results> get_future() { return future_access::make<Results>(to_); }

  template <class Take>
  void arrive(Take take, continuation_list& more) noexcept {
    try {
      take(places_);
    } catch (...) {
      if (!to_->begin()) return;
      to_->set_error(std::current_exception());
      to_->publish(more);
      return;
    }
    if (missing_.fetch_sub(1, std::memory_order_acq_rel) != 1 || !to_->begin()) return;
    to_->keep_result_of([&] { return std::move(places_); });
    to_->publish(more);
  }

 private:
  std::atomic<std::size_t> missing_;
  Results places_;  // each written by its own future's arrival
  state_ref<future_state<Results>> to_{new future_state<Results>};
};

template <class Collected, class T, class Put>
void collect(std::shared_ptr<Collected> into, future<T> from, Put put) {
  future_state_base& state = future_access::state(from);
  when_ready(state, [into = std::move(into), from = std::move(from), put](continuation_list& more) mutable {
    into->arrive([&](auto& places) { put(places, from); }, more);
  });
}

// To be called once all futures were handed to collect(). It counts as an arrival, so that a list of no
// futures is complete as well.
template <class Collected>
void all_collected(Collected& all) {
  continuation_list now;
  all.arrive([](auto&) {}, now);
  now.run_all();
}

}  // namespace detail

// The results of all futures, in order: references as such, and std::monostate for void. The first exception
// is the result at once, whatever the others do. With no futures at all it is ready at once.
template <class... Ts>
[[nodiscard]] auto when_all(future<Ts>... futures) -> future<std::tuple<detail::result_element<Ts>...>> {
  // Results need not be default-constructible, so they are gathered as optionals and unpacked at the end.
  using gathered = std::tuple<std::optional<detail::held_element<Ts>>...>;
  auto all = std::make_shared<detail::all_results<gathered>>(sizeof...(Ts) + 1, gathered{});
  auto done = all->get_future();
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (detail::collect(
         all, std::move(futures),
         [](gathered& places, auto& from) { std::get<I>(places).emplace(detail::take_result(from)); }),
     ...);
  }
  (std::index_sequence_for<Ts...>{});
  detail::all_collected(*all);
  return done.then([](gathered&& places) {
    return std::apply(
        [](auto&... place) { return std::tuple<detail::result_element<Ts>...>(std::move(*place)...); },
        places);
  });
}

// Likewise, for any number of futures: a future<std::vector<T>>, of std::reference_wrapper<T> for future<T&>;
// and a future<void> for future<void>.
template <class T>
[[nodiscard]] auto when_all(std::vector<future<T>> futures) {
  using gathered = std::vector<std::optional<detail::held_element<T>>>;
  auto all = std::make_shared<detail::all_results<gathered>>(futures.size() + 1, gathered(futures.size()));
  auto done = all->get_future();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    detail::collect(all, std::move(futures[i]),
                    [i](gathered& places, auto& from) { places[i].emplace(detail::take_result(from)); });
  }
  detail::all_collected(*all);
  return done.then([](gathered&& places) {
    if constexpr (!std::is_void_v<T>) {
      std::vector<detail::held_element<T>> values;
      values.reserve(places.size());
      for (auto& place : places) values.push_back(std::move(*place));
      return values;
    }
  });
}

}  // namespace zsync
