// A fiber with a closure and a result: what spawn() makes. Not for users; fiber.hpp has the handle.
#pragma once

#include <zsync/fiber/control.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace zsync::detail {

// The end of a fiber, as others see it. `guard_` guards the waiters and the flags, which say otherwise where
// it does not; the outcome is written before `done_` is set and read after.
//
// The outcome is destroyed where a destructor may wait, so never by the last release(), which happens within
// a switch: by the handle that joins, by the fiber itself once it is over and detached, or by whoever
// detaches it later than that.
class task : public fiber_control {
 public:
  task() noexcept : fiber_control(2) {}

  // Control blocks come from the calling worker's own store where they fit.
  static void* operator new(std::size_t size);
  static void operator delete(void* block, std::size_t size) noexcept;
  // Closures and results with an alignment of their own.
  static void* operator new(std::size_t size, std::align_val_t alignment);
  static void operator delete(void* block, std::size_t size, std::align_val_t alignment) noexcept;

  // Waits for the end. `accepts`: as of a wait.
  wake_cause wait_done(std::uint32_t accepts, deadline until, bool& scope_expired);
  [[nodiscard]] bool done() const noexcept;

  // For select: true if it is done already, else the waiter is queued, and must be removed afterwards.
  bool done_or_queue(waiter& w) noexcept;
  void remove(waiter& w) noexcept;

  // From any thread that holds a reference.
  void cancel() noexcept;
  // The same, but for the waking. True: it was waiting, and the caller must schedule() it.
  [[nodiscard]] bool end_wait_by_cancelling() noexcept;

  // Before it begins: an exception that leaves it terminates where it is thrown, since nobody will ask for
  // it. Once it runs: terminates when it arrives at the fiber's end. True: the fiber is over, and the caller
  // has to drop its outcome.
  [[nodiscard]] bool detach() noexcept;

  void abandon() noexcept final;

 protected:
  // The last act of run(): fiber-local values die, then whoever waits goes on.
  void finish() noexcept;
  virtual void on_finish() noexcept {}
  virtual void on_abandon(const std::exception_ptr& failure) noexcept { std::ignore = failure; }
  virtual void drop_call() noexcept = 0;  // the closure that will not be called

  // By the fiber, when it is over, if its outcome is a failure or not trivial. True: it was detached, and has
  // to drop its outcome itself; a failure ends the process here, as in a later detach().
  [[nodiscard]] bool note_over() noexcept;
  [[nodiscard]] bool failed() const noexcept { return failure_ != nullptr; }
  void drop_failure() noexcept { failure_ = nullptr; }

  // Runs `f` and keeps what it throws, unless the fiber is detached.
  template <class F>
  void guarded(F&& f) {
    if (detached_.load(std::memory_order_relaxed)) {
      // No handler for anything but cancellation: the search for one fails at the throw, which is what a core
      // shows.
      try {
        std::forward<F>(f)();
      } catch (const cancelled&) {
      }
    } else {
      try {
        std::forward<F>(f)();
      } catch (...) {
        keep_exception();
      }
    }
  }

  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  bool done_or_run_in_place(std::uint32_t accepts, deadline until) noexcept;
  void keep_exception() noexcept;
  void refuse_failure() const noexcept;

  mutable spinlock guard_;
  std::atomic<bool> done_{false};  // set under the lock, unless the joiner has let it begin in its own place
  bool abandoned_ = false;         // it never began; written before `over_` is set
  bool over_ = false;  // it only has to end yet; set, if not trivial, before it leaves its outcome to others
  wait_queue joiners_;
  std::exception_ptr failure_;
  std::atomic<bool> detached_{false};
};

// Where the result waits for its join.
template <class T>
class task_of : public task {
 public:
  T take() {
    rethrow();
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(**value_);
    } else {
      return std::move(*value_);
    }
  }
  void drop() noexcept {
    value_.reset();
    drop_failure();
  }

 protected:
  template <class F>
  void keep(F&& f) {
    if constexpr (std::is_reference_v<T>) {
      auto&& result = std::forward<F>(f)();
      value_ = std::addressof(result);
    } else {
      value_.emplace(std::forward<F>(f)());
    }
  }

 private:
  std::optional<std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::remove_cv_t<T>>>
      value_;
};

template <>
class task_of<void> : public task {
 public:
  void take() { rethrow(); }
  void drop() noexcept { drop_failure(); }

 protected:
  template <class F>
  void keep(F&& f) {
    std::forward<F>(f)();
  }
};

// The closure lives until it has been called, and no longer: what it owns must not wait for the join.
template <class T, class F, class... Args>
class task_calling final : public task_of<T> {
 public:
  template <class G, class... As>
  explicit task_calling(G&& f, As&&... args)
      : call_(std::in_place, std::forward<G>(f), std::forward<As>(args)...) {}

  void run() override {
    this->guarded([this] {
      struct dropper {
        std::optional<std::tuple<F, Args...>>& call;
        ~dropper() { call.reset(); }
      } drop{call_};
      this->keep([this]() -> T {
        return std::apply(
            [](F& f, Args&... args) -> T { return std::invoke(std::move(f), std::move(args)...); }, *call_);
      });
    });
    constexpr bool trivial = std::is_void_v<T> || std::is_trivially_destructible_v<T>;
    if ((!trivial || this->failed()) && this->note_over()) this->drop();
    this->finish();
  }

 private:
  void drop_call() noexcept override { call_.reset(); }

  std::optional<std::tuple<F, Args...>> call_;
};

template <class F, class... Args>
using spawn_result = std::invoke_result_t<std::decay_t<F>, std::decay_t<Args>...>;

template <class F, class... Args>
task_of<spawn_result<F, Args...>>* make_task(F&& f, Args&&... args) {
  using result = spawn_result<F, Args...>;
  return new task_calling<result, std::decay_t<F>, std::decay_t<Args>...>(std::forward<F>(f),
                                                                          std::forward<Args>(args)...);
}

}  // namespace zsync::detail
