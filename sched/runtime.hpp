// The runtime: workers with threads of their own, and run(), which lends them the caller's.
#pragma once

#include <zsync/fiber/code_address.hpp>
#include <zsync/sched/call_after.hpp>
#include <zsync/sched/dump_format.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/options.hpp>
#include <zsync/sched/stack_usage.hpp>
#include <zsync/sched/stats.hpp>

#include <chrono>
#include <iosfwd>
#include <memory>
#include <type_traits>
#include <vector>

namespace zsync {
namespace detail {

class scheduler;

// What runtime, loop and run() have in common.
class executor {
 public:
  executor(const executor&) = delete;
  executor& operator=(const executor&) = delete;

  // A fiber of this runtime. From any thread. Throws std::system_error as fiber's constructor does.
  template <class F, class... Args>
  requires is_callable_not_options<F>
  [[nodiscard, gnu::always_inline]] inline fiber<spawn_result<F, Args...>> spawn(F&& f, Args&&... args) {
    return fiber<spawn_result<F, Args...>>::launch({&scheduler_(), code_address()}, {}, std::forward<F>(f),
                                                   std::forward<Args>(args)...);
  }
  template <class F, class... Args>
  [[nodiscard, gnu::always_inline]] inline fiber<spawn_result<F, Args...>> spawn(const spawn_options& options,
                                                                                 F&& f, Args&&... args) {
    return fiber<spawn_result<F, Args...>>::launch({&scheduler_(), code_address()}, options,
                                                   std::forward<F>(f), std::forward<Args>(args)...);
  }

  // Fire and forget, from any thread. What escapes `f` terminates the process, at the throw.
  template <class F>
  [[gnu::always_inline]] inline void post(F&& f) {
    detail::task& newborn = *make_task(std::forward<F>(f));
    std::ignore = newborn.detach();  // before it can begin, for only then nothing catches what escapes it
    launch(newborn, {}, {&scheduler_(), code_address()});
    newborn.release();
  }

  // As zsync::call_after() and zsync::call_at(), on this runtime and from any thread.
  template <class Rep, class Period, class F>
  [[nodiscard, gnu::always_inline]] inline timer call_after(std::chrono::duration<Rep, Period> d, F&& f) {
    return timer::start(deadline::after(d), {&scheduler_(), code_address()}, std::forward<F>(f));
  }
  template <class F>
  [[nodiscard, gnu::always_inline]] inline timer call_at(deadline when, F&& f) {
    return timer::start(when, {&scheduler_(), code_address()}, std::forward<F>(f));
  }

  // Cancels all fibers and waits for their ends. False: some remain after `grace`. From a plain thread, or
  // from a fiber of another runtime; one of its own ends the program. If some remain, a dump is written to
  // stderr. Fibers spawned from now on begin cancelled.
  bool shutdown(std::chrono::nanoseconds grace);

  // From any thread, while everything runs on; takes no lock.
  [[nodiscard]] runtime_stats stats() const;

  // Every fiber that has begun, and how many have not: id, name, state, what it waits for (which descriptor
  // and peer, which channel and how full it is, which lock and who holds it), since when and until when,
  // where it was spawned, its stack; and at the end, which fibers wait for each other's locks and ends in a
  // circle. From any thread, while everything runs on: workers answer between two turns of their fibers, and
  // of one that runs a fiber for more than 200 ms only that fiber is told. A fiber that moves meanwhile from
  // one worker to another may be told twice, or not at all. Addresses are named as far as the program's
  // symbols go, the rest as offsets for addr2line.
  void dump(std::ostream& out, dump_format format = dump_format::text) const;

  // What fibers and workers did lately, as far as runtime_options::trace_events had it kept: JSON that
  // ui.perfetto.dev and chrome://tracing open. Each fiber is a track, with slices for its turns and, by their
  // reason, its waits; each worker is one; arrows lead from who woke or spawned a fiber to its next turn.
  // From any thread, while everything runs on.
  void write_trace(std::ostream& out) const;

  // How much of their stacks fibers have used, by the place that spawned them, those that used most first; of
  // fibers that have ended. Empty unless runtime_options::measure_stacks is set.
  [[nodiscard]] std::vector<stack_usage> stack_report() const;

  [[nodiscard]] const runtime_options& options() const noexcept;  // as completed: real workers and backend

 protected:
  // The caller drives the first `driven` workers, the rest get threads.
  executor(runtime_options options, unsigned driven);
  ~executor();

  [[nodiscard]] scheduler& scheduler_() const noexcept { return *impl_; }

 private:
  [[nodiscard]] bool runs_caller() const noexcept;

  std::unique_ptr<scheduler> impl_;
};

}  // namespace detail

// Several may live in one process. Neither copied nor moved.
class runtime : public detail::executor {
 public:
  // Starts the workers. Throws std::system_error: a backend asked for by name that cannot be had, no threads.
  explicit runtime(runtime_options options = {}) : executor(std::move(options), 0) {}

  // Cancels all fibers, waits until they have unwound, and joins the workers. From a plain thread, or from a
  // fiber of another runtime. If some do not end within runtime_options::shutdown_grace, a list of them goes
  // to stderr and the program ends.
  ~runtime() = default;

  // Runs f in a fiber and waits for it; returns its result or rethrows. From a plain thread.
  template <class F>
  [[gnu::always_inline]] inline auto block_on(F&& f) -> detail::spawn_result<F> {
    return spawn(std::forward<F>(f)).join();
  }
};

namespace detail {

// A runtime whose first worker is the calling thread, for run().
class main_runtime : public executor {
 public:
  explicit main_runtime(runtime_options options);
  ~main_runtime();
};

}  // namespace detail

// Runs f in a fiber on a runtime made for it, returns its result or rethrows. The calling thread is the first
// worker, so with one worker the process stays single-threaded. Fibers that are left when f ends are
// cancelled and unwound, as by ~runtime. `f` runs on the first worker, so on the calling thread, and is
// called 'main' in dumps. `int main() { return zsync::run([] { ... }); }`
template <class F>
[[gnu::always_inline]] inline auto run(F&& f, runtime_options options = {}) -> detail::spawn_result<F> {
  detail::main_runtime on(std::move(options));
  return on.spawn(spawn_options{.name = "main", .worker = 0}, std::forward<F>(f)).join();
}

}  // namespace zsync
