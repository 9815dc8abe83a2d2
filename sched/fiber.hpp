// Spawning fibers, and the handle by which one is joined, cancelled or let go.
#pragma once

#include <zsync/fiber/code_address.hpp>
#include <zsync/sched/task.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string_view>
#include <utility>

namespace zsync {

enum class scheduling;

// Names a fiber among those of its runtime; never used again. Plain threads and empty handles have 0.
class fiber_id {
 public:
  constexpr fiber_id() noexcept = default;
  constexpr explicit fiber_id(std::uint64_t value) noexcept : value_(value) {}
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  friend constexpr auto operator<=>(fiber_id, fiber_id) = default;
  template <class Char, class Traits>
  friend std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out, fiber_id id) {
    return out << id.value();
  }

 private:
  std::uint64_t value_ = 0;
};

struct spawn_options {
  static constexpr int any = -1;
  static constexpr int in_turn = -2;

  std::string_view name = {};             // for dumps; copied
  std::size_t stack_size = 0;             // bytes up to 1 GiB, rounded to a power of two; 0: the runtime's
  std::optional<scheduling> policy = {};  // the runtime's unless given
  // Runs on that worker, and only there. `any`: on the first that is free, which for several that are spawned
  // together and soon wait is often one and the same. `in_turn`: on the next of the runtime's workers, one
  // after the other, for fibers that are to share the processors for long: consumers, connections.
  int worker = any;
};

namespace detail {

class scheduler;

// On whose behalf a fiber is spawned.
struct spawn_site {
  scheduler* where;  // nullptr: the current runtime
  const void* from;  // an address in the spawning code
};

// Hands a new task over. Throws std::system_error: errc operation_not_permitted outside any runtime,
// invalid_argument for a worker that there is not or a stack that is too large, not_enough_memory without a
// stack; both references of the task are gone then.
void launch(task& newborn, const spawn_options& options, spawn_site site);
[[noreturn]] void join_nothing();

template <class F>
inline constexpr bool is_callable_not_options = !std::is_same_v<std::remove_cvref_t<F>, spawn_options> &&
                                                !std::is_same_v<std::remove_cvref_t<F>, spawn_site>;

}  // namespace detail

// Cancels one fiber, as its handle does, but from any thread, at any time: also while somebody else joins the
// fiber, and after it or its runtime has ended, when nothing happens. Copies refer to the same fiber; one of
// no fiber cancels nobody.
class canceller {
 public:
  canceller() noexcept = default;
  canceller(const canceller& other) noexcept : task_(other.task_) {
    if (task_ != nullptr) task_->retain();
  }
  canceller(canceller&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  canceller& operator=(canceller other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~canceller() {
    if (task_ != nullptr) task_->release();
  }

  // The fiber's waits, the one it is in or the next, throw `cancelled`. Any number of times.
  void cancel() const noexcept {
    if (task_ != nullptr) task_->cancel();
  }

 private:
  template <class T>
  friend class fiber;
  explicit canceller(detail::task* task) noexcept : task_(task) {
    if (task_ != nullptr) task_->retain();
  }

  detail::task* task_ = nullptr;
};

// The handle of a fiber, like std::jthread: destroying a joinable one requests cancellation and joins. Only
// one thread or fiber uses a handle at a time; the fiber itself may be anywhere. join(), its like and
// detach() throw std::system_error(invalid_argument) if there is no fiber to the handle.
template <class T = void>
class fiber {
 public:
  fiber() noexcept = default;

  // Spawns a fiber on the current runtime that calls f(args...), all decayed as std::thread does. It runs
  // when the caller next waits, or sooner on another worker. Throws std::system_error: outside any runtime
  // operation_not_permitted, without memory for its stack not_enough_memory, and invalid_argument for options
  // that cannot be met.
  template <class F, class... Args>
  requires(!std::is_same_v<std::remove_cvref_t<F>, fiber> && detail::is_callable_not_options<F>)
      [[nodiscard, gnu::always_inline]] inline explicit fiber(F&& f, Args&&... args)
      : fiber(detail::spawn_site{nullptr, detail::code_address()}, spawn_options{}, std::forward<F>(f),
              std::forward<Args>(args)...) {}

  template <class F, class... Args>
  [[nodiscard, gnu::always_inline]] inline explicit fiber(const spawn_options& options, F&& f, Args&&... args)
      : fiber(detail::spawn_site{nullptr, detail::code_address()}, options, std::forward<F>(f),
              std::forward<Args>(args)...) {}

  fiber(fiber&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  fiber& operator=(fiber&& other) noexcept {
    if (this != &other) {
      finish();
      task_ = std::exchange(other.task_, nullptr);
    }
    return *this;
  }
  ~fiber() { finish(); }

  [[nodiscard]] bool joinable() const noexcept { return task_ != nullptr; }

  // It has ended, so join() does not wait. False for an empty handle. Waits for nothing, drives no loop.
  [[nodiscard]] bool done() const noexcept { return task_ != nullptr && task_->done(); }

  // Waits for the fiber's end; returns its result or rethrows what left it, `cancelled` included. A cancelled
  // or timed-out join throws that instead, and the handle stays joinable. From any thread.
  T join() {
    std::ignore = wait_done(deadline::never());
    return take();
  }

  // An optional result; of one that is a reference, a pointer to what it refers to; of void, whether it has
  // ended. Empty (null, false): not ended within `d`, and still joinable. Throws what join() throws.
  template <class Rep, class Period>
  auto join_for(std::chrono::duration<Rep, Period> d) {
    return join_until(deadline::after(d));
  }

  auto join_until(deadline until) {
    if constexpr (std::is_void_v<T>) {
      if (!wait_done(until)) return false;
      take();
      return true;
    } else if constexpr (std::is_reference_v<T>) {
      if (!wait_done(until)) return static_cast<std::remove_reference_t<T>*>(nullptr);
      auto&& result = take();
      return std::addressof(result);
    } else {
      return wait_done(until) ? std::optional<T>(take()) : std::nullopt;
    }
  }

  // Lets it run on alone. An exception that escapes it terminates the process.
  void detach() {
    if (task_ == nullptr) detail::join_nothing();
    if (task_->detach()) task_->drop();
    std::exchange(task_, nullptr)->release();
  }

  // Its waits, this one or the next, throw `cancelled`. Any number of times.
  void cancel() noexcept {
    if (task_ != nullptr) task_->cancel();
  }

  // For whoever is to cancel it besides the handle's user.
  [[nodiscard]] canceller get_canceller() const noexcept { return canceller(task_); }

  [[nodiscard]] fiber_id get_id() const noexcept { return fiber_id{task_ == nullptr ? 0 : task_->id}; }

  void swap(fiber& other) noexcept { std::swap(task_, other.task_); }

  // For select and for runtimes: not part of the promise.
  [[nodiscard]] detail::task_of<T>* task() const noexcept { return task_; }
  template <class F, class... Args>
  static fiber launch(detail::spawn_site site, const spawn_options& options, F&& f, Args&&... args) {
    return fiber(site, options, std::forward<F>(f), std::forward<Args>(args)...);
  }

 private:
  template <class F, class... Args>
  fiber(detail::spawn_site site, const spawn_options& options, F&& f, Args&&... args)
      : task_(make(std::forward<F>(f), std::forward<Args>(args)...)) {
    detail::launch(*task_, options, site);
  }

  // A fiber<> drops what its function returns, as std::thread does.
  template <class F, class... Args>
  static detail::task_of<T>* make(F&& f, Args&&... args) {
    if constexpr (std::is_void_v<T> && !std::is_void_v<detail::spawn_result<F, Args...>>) {
      const auto drop = [](std::decay_t<F>&& call, std::decay_t<Args>&&... with) {
        static_cast<void>(std::invoke(std::move(call), std::move(with)...));
      };
      return detail::make_task(drop, std::forward<F>(f), std::forward<Args>(args)...);
    } else {
      return detail::make_task(std::forward<F>(f), std::forward<Args>(args)...);
    }
  }

  bool wait_done(deadline until) {
    if (task_ == nullptr) detail::join_nothing();
    bool scope_expired = false;
    switch (task_->wait_done(detail::wait::cancellable, until, scope_expired)) {
      case detail::wake_cause::notified:
        return true;
      case detail::wake_cause::cancelled:
        detail::throw_cancelled();
      case detail::wake_cause::timed_out:
        break;
    }
    if (!scope_expired) return false;
    throw std::system_error(error::deadline_expired);
  }

  T take() {
    struct dropper {
      detail::task_of<T>* ended;
      ~dropper() {
        ended->drop();
        ended->release();
      }
    } drop{task_};
    return std::exchange(task_, nullptr)->take();
  }

  void finish() noexcept {
    if (task_ == nullptr) return;
    task_->cancel();
    bool ignored = false;
    task_->wait_done(detail::wait::uncancellable | detail::wait::unscoped, deadline::never(), ignored);
    task_->drop();
    std::exchange(task_, nullptr)->release();
  }

  detail::task_of<T>* task_ = nullptr;
};

template <class F, class... Args>
requires detail::is_callable_not_options<F>
explicit fiber(F&&, Args&&...)->fiber<detail::spawn_result<F, Args...>>;
template <class F, class... Args>
explicit fiber(const spawn_options&, F&&, Args&&...) -> fiber<detail::spawn_result<F, Args...>>;
template <class F, class... Args>  // without it clang 14 takes temporary options for the function
explicit fiber(spawn_options&&, F&&, Args&&...)->fiber<detail::spawn_result<F, Args...>>;

// As the constructors of fiber.
template <class F, class... Args>
requires detail::is_callable_not_options<F>
[[nodiscard, gnu::always_inline]] inline fiber<detail::spawn_result<F, Args...>> spawn(F&& f,
                                                                                       Args&&... args) {
  return fiber<detail::spawn_result<F, Args...>>::launch({nullptr, detail::code_address()}, {},
                                                         std::forward<F>(f), std::forward<Args>(args)...);
}
template <class F, class... Args>
[[nodiscard, gnu::always_inline]] inline fiber<detail::spawn_result<F, Args...>> spawn(
    const spawn_options& options, F&& f, Args&&... args) {
  return fiber<detail::spawn_result<F, Args...>>::launch({nullptr, detail::code_address()}, options,
                                                         std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace zsync

template <>
struct std::hash<zsync::fiber_id> {
  std::size_t operator()(zsync::fiber_id id) const noexcept { return std::hash<std::uint64_t>{}(id.value()); }
};
