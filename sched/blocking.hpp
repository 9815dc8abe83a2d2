// Calls that would block a worker, on threads made for that.
#pragma once

#include <zsync/sched/helper_pool.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace zsync {
namespace detail {

// Runs the job on a helper of the current runtime and waits for its end. On a plain thread, runs it there.
void run_blocking(helper_job& job);

// The same; neither cancellation nor a deadline keeps it from running.
void run_blocking_for_certain(helper_job& job);

template <class T, class F>
class blocking_job final : public helper_job {
 public:
  explicit blocking_job(F& f) : f_(f) {}

  T take() {
    if (failure_) std::rethrow_exception(failure_);
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(**value_);
    } else if constexpr (!std::is_void_v<T>) {
      return std::move(*value_);
    }
  }

 private:
  struct nothing {};
  using stored = std::conditional_t<
      std::is_void_v<T>, nothing,
      std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::remove_cv_t<T>>>;

  void call() noexcept override {
    try {
      if constexpr (std::is_void_v<T>) {
        std::forward<F>(f_)();
      } else if constexpr (std::is_reference_v<T>) {
        auto&& result = std::forward<F>(f_)();
        value_ = std::addressof(result);
      } else {
        value_.emplace(std::forward<F>(f_)());
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  F& f_;
  std::optional<stored> value_;
  std::exception_ptr failure_;
};

}  // namespace detail

// Runs f on a helper thread while the calling fiber waits and its worker goes on; returns f's result or
// rethrows. At most runtime_options::helpers_max calls, 64 unless set, run at once for a runtime; further
// ones queue. So f must not wait for what comes only by a later blocking(): enough of them together would
// hold all helpers, and what they wait for would queue behind them for ever. A cancellation point while it
// queues: once f runs, the wait lasts until it returns, for f may use what is on the caller's stack. Locals
// of the thread are the helper's. On a plain thread f is simply called.
template <class F>
auto blocking(F&& f) -> std::invoke_result_t<F> {
  detail::blocking_job<std::invoke_result_t<F>, F> job(f);
  detail::run_blocking(job);
  return job.take();
}

}  // namespace zsync
