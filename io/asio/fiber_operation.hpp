// How a fiber waits for an asynchronous operation of Asio, whichever of its two forms: `Net` says what things
// are called there. Not a public header: see use_fiber.hpp and use_fiber_boost.hpp.
#pragma once

#include <zsync/sched/error.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>

namespace zsync::detail {

// What the fiber waits for: that all who know of it, its handler and whoever hastens it, have let go. On the
// fiber's stack.
class asio_rendezvous {
 public:
  // By who hastens the operation. False: it is over.
  bool hold() noexcept {
    const std::lock_guard guard(lock_);
    if (holders_ == 0) return false;
    ++holders_;
    return true;
  }

  // Whoever lets go touches nothing of this afterwards.
  void let_go() noexcept {
    std::unique_lock guard(lock_);
    const waiter* const woken = --holders_ == 0 ? waiting_.claim_front() : nullptr;
    parker* const party = woken != nullptr ? woken->party : nullptr;
    guard.unlock();
    if (party != nullptr) schedule(*party);
  }

  // Until nobody holds it any more, or the wait ends for a cause of its own.
  wake_cause wait_for_all(std::uint32_t accepts) noexcept {
    std::unique_lock guard(lock_);
    if (holders_ == 0) return wake_cause::notified;
    wait w(wait_kind::io_other, nullptr, accepts);
    if (!w.open()) return w.cause();
    waiter me(w);
    waiting_.push_back(me);
    guard.unlock();
    const wake_cause cause = w.suspend();
    if (cause != wake_cause::notified) {
      guard.lock();
      waiting_.remove(me);
    }
    return cause;
  }

 private:
  spinlock lock_;
  std::uint32_t holders_ = 1;  // lock_; the handler is the first
  wait_queue waiting_;         // lock_
};

// A share in a rendezvous, which ends with it: also when an io_context dies with what was to be done there.
class asio_share {
 public:
  explicit asio_share(asio_rendezvous& in) noexcept : in_(&in) {}
  asio_share(asio_share&& other) noexcept : in_(std::exchange(other.in_, nullptr)) {}
  ~asio_share() { let_go(); }
  void let_go() noexcept {
    if (asio_rendezvous* const in = std::exchange(in_, nullptr)) in->let_go();
  }

 private:
  asio_rendezvous* in_;
};

template <class Net, class... Args>
struct asio_operation : asio_rendezvous {
  std::optional<std::tuple<std::decay_t<Args>...>> arrived;  // empty: the handler was dropped
  typename Net::cancellation_signal hasten;                  // used where the handler runs
  std::optional<typename Net::executor> where;  // that; empty: unknown, as nobody has asked for it
};

// What Asio calls at the end. On a strand of the operation's executor, where it can be hastened without a
// race: Asio's objects are not for two threads at once, and an io_context may have several. That executor is
// known once Asio asks on which one the handler runs if it has no preference, which it does as the operation
// begins.
template <class Net, class... Args>
class asio_handler {
 public:
  using cancellation_slot_type = typename Net::cancellation_slot;

  explicit asio_handler(asio_operation<Net, Args...>& of) noexcept : of_(&of), share_(of) {}

  template <class... Values>
  void operator()(Values&&... values) {
    of_->arrived.emplace(std::forward<Values>(values)...);
    share_.let_go();
  }

  [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return of_->hasten.slot(); }

  template <class Executor>
  [[nodiscard]] typename Net::executor executor_beside(const Executor& of_operation) const {
    if (!of_->where) of_->where.emplace(typename Net::template strand<Executor>(of_operation));
    return *of_->where;
  }

 private:
  asio_operation<Net, Args...>* of_;
  asio_share share_;
};

// What a completion's arguments come to: an error is thrown, of the rest one is a value and several are a
// tuple.
template <class Net>
struct asio_result {
  template <class... Values>
  static auto of_values(Values&&... values) {
    if constexpr (sizeof...(Values) == 1) {
      return (std::move(values), ...);
    } else if constexpr (sizeof...(Values) > 1) {
      return std::tuple<std::decay_t<Values>...>(std::move(values)...);
    }
  }
  template <class First, class... Rest>
  static auto of(First&& first, Rest&&... rest) {
    if constexpr (std::is_same_v<std::decay_t<First>, typename Net::error_code>) {
      if (first) throw typename Net::system_error(first);
      return of_values(std::forward<Rest>(rest)...);
    } else if constexpr (std::is_same_v<std::decay_t<First>, std::exception_ptr>) {
      if (first) std::rethrow_exception(first);
      return of_values(std::forward<Rest>(rest)...);
    } else {
      return of_values(std::forward<First>(first), std::forward<Rest>(rest)...);
    }
  }
  static void of() {}
};

template <class Net, class... Args>
using asio_result_of = decltype(asio_result<Net>::of(std::declval<std::decay_t<Args>>()...));

// An operation that was hastened and says so: what the wait owes its caller instead.
template <class Net, class... Args>
void throw_if_hastened(wake_cause why, const std::tuple<Args...>& arrived) {
  if constexpr (sizeof...(Args) > 0) {
    if constexpr (std::is_same_v<std::tuple_element_t<0, std::tuple<Args...>>, typename Net::error_code>) {
      if (std::get<0>(arrived) != Net::aborted()) return;
      if (why == wake_cause::cancelled) throw_cancelled();
      if (why == wake_cause::timed_out) throw std::system_error(error::deadline_expired);
    }
  }
}

template <class Net, class... Args>
void hasten_there(asio_operation<Net, Args...>& one) noexcept {
  if (!one.where || !one.hold()) return;
  asio_share share(one);
  try {
    Net::post(*one.where, [&one, share = std::move(share)] {
      if (!one.arrived) one.hasten.emit(Net::everything);
    });
  } catch (const std::bad_alloc&) {  // then it ends when it ends
  }
}

template <class Net, class... Args, class Initiation, class... Given>
asio_result_of<Net, Args...> run_asio_operation(Initiation&& initiation, Given&&... given) {
  asio_operation<Net, Args...> one;
  std::forward<Initiation>(initiation)(asio_handler<Net, Args...>(one), std::forward<Given>(given)...);
  const wake_cause why = one.wait_for_all(wait::cancellable);
  if (why != wake_cause::notified) {
    hasten_there(one);
    one.wait_for_all(wait::uncancellable | wait::unscoped);  // for it uses what is on this stack
  }
  if (!one.arrived) throw typename Net::system_error(Net::aborted());
  throw_if_hastened<Net>(why, *one.arrived);
  return std::apply([](auto&... values) { return asio_result<Net>::of(std::move(values)...); }, *one.arrived);
}

}  // namespace zsync::detail

namespace zsync {

struct use_fiber_t {};

// A completion token: see use_fiber.hpp.
inline constexpr use_fiber_t use_fiber{};

}  // namespace zsync
