// Structured concurrency: children that do not outlive their block.
#pragma once

#include <zsync/fiber/code_address.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace zsync {

class task_group;

namespace detail {

// A child: on its group's list from its spawn to its end.
class group_task : public task {
 public:
  explicit group_task(task_group& group) noexcept : group_(group) {}

  [[nodiscard]] const void* group() const noexcept final { return &group_; }

  group_task* previous = nullptr;  // the group's lock guards both
  group_task* following = nullptr;

 protected:
  void on_finish() noexcept final;
  void on_abandon(const std::exception_ptr& failure) noexcept final;
  void note_failure() noexcept;

 private:
  task_group& group_;
};

template <class F, class... Args>
class group_task_calling final : public group_task {
 public:
  template <class G, class... As>
  explicit group_task_calling(task_group& group, G&& f, As&&... args)
      : group_task(group), call_(std::in_place, std::forward<G>(f), std::forward<As>(args)...) {}

  void run() override {
    try {
      struct dropper {
        std::optional<std::tuple<F, Args...>>& call;
        ~dropper() { call.reset(); }
      } drop{call_};
      std::apply(
          [](F& f, Args&... args) { std::ignore = (std::invoke(std::move(f), std::move(args)...), 0); },
          *call_);
    } catch (...) {
      note_failure();
    }
    this->finish();
  }

 private:
  void drop_call() noexcept override { call_.reset(); }

  std::optional<std::tuple<F, Args...>> call_;
};

}  // namespace detail

// Children run concurrently; none outlives the group. The first exception that leaves one, `cancelled` apart,
// cancels the others, and wait() rethrows it. spawn() and cancel() may be called from any thread and from
// children; wait() and the destructor from one place.
class task_group {
 public:
  task_group() noexcept = default;
  // Cancels the children that are left, and waits for them. An exception that nobody waited for is dropped.
  ~task_group();
  task_group(const task_group&) = delete;
  task_group& operator=(const task_group&) = delete;

  // A child that calls f(args...) on the current runtime; its result is dropped. After cancel() or a failure
  // it begins cancelled. Throws std::system_error as fiber's constructor does.
  template <class F, class... Args>
  requires detail::is_callable_not_options<F>
  [[gnu::always_inline]] inline void spawn(F&& f, Args&&... args) {
    launch(spawn_options{}, {nullptr, detail::code_address()}, std::forward<F>(f),
           std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  [[gnu::always_inline]] inline void spawn(const spawn_options& options, F&& f, Args&&... args) {
    launch(options, {nullptr, detail::code_address()}, std::forward<F>(f), std::forward<Args>(args)...);
  }

  // Waits until no child is left, then rethrows the first failure, once. If the wait itself is cancelled or
  // its deadline scope ends, cancels the children, waits for their ends, and throws that. More may be spawned
  // later.
  void wait() { std::ignore = wait_until(deadline::never()); }

  // False: some have not ended by then, and go on.
  bool wait_until(deadline until);
  template <class Rep, class Period>
  bool wait_for(std::chrono::duration<Rep, Period> d) {
    return wait_until(deadline::after(d));
  }

  // Requests cancellation of all children, those to come as well.
  void cancel() noexcept;

  [[nodiscard]] std::size_t size() const noexcept;  // children that have not ended

 private:
  friend class detail::group_task;

  template <class F, class... Args>
  void launch(const spawn_options& options, detail::spawn_site site, F&& f, Args&&... args) {
    auto* const child = new detail::group_task_calling<std::decay_t<F>, std::decay_t<Args>...>(
        *this, std::forward<F>(f), std::forward<Args>(args)...);
    admit(*child, options, site);
  }

  void admit(detail::group_task& child, const spawn_options& options, detail::spawn_site site);
  void leave(detail::group_task& child) noexcept;
  void fail(std::exception_ptr failure) noexcept;
  detail::wake_cause wait_empty(std::uint32_t accepts, deadline until, bool& scope_expired);
  void wait_empty_for_certain() noexcept;
  template <class Predicate>
  [[nodiscard]] detail::group_task* child_at(Predicate fits) const noexcept;  // whose worker fits
  detail::wake_cause drive(detail::worker& loop, std::uint32_t accepts, deadline until, bool& scope_expired);
  detail::wake_cause drive_loops(std::uint32_t accepts, deadline until, bool& scope_expired);
  void unlink(detail::group_task& child) noexcept;

  mutable detail::spinlock lock_;  // guards all below
  detail::group_task* children_ = nullptr;
  std::size_t size_ = 0;
  bool cancelled_ = false;
  std::exception_ptr failure_;
  detail::wait_queue waiters_;
};

}  // namespace zsync
