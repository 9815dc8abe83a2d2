#include <zsync/sched/runtime.hpp>

#include <zsync/sched/dump.hpp>
#include <zsync/sched/scheduler.hpp>
#include <zsync/sched/trace.hpp>

namespace zsync {
namespace detail {

[[gnu::flatten]] void launch(task& newborn, const spawn_options& options, spawn_site site) try {
  scheduler* where = site.where;
  if (where == nullptr) {
    worker* const here = current_worker();
    if (here == nullptr) {
      throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                              "a fiber was spawned outside any runtime");
    }
    where = &here->owner();
  }
  newborn.spawned_at = site.from;
  check_stack_size(options.stack_size);
  newborn.stack_size = static_cast<std::uint32_t>(options.stack_size);
  newborn.stealable = options.policy.value_or(where->options().policy) == scheduling::work_stealing;
  if (!options.name.empty()) newborn.name = std::make_unique<std::string>(options.name);
  if (options.worker != spawn_options::any && options.worker != spawn_options::in_turn &&
      (options.worker < 0 || static_cast<unsigned>(options.worker) >= where->size())) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "there is no worker of that number");
  }
  checker::release(static_cast<fiber_control*>(&newborn));
  where->admit(newborn, options.worker == spawn_options::in_turn
                            ? static_cast<int>(where->next_in_turn().index())
                            : options.worker);
} catch (...) {
  newborn.release();
  newborn.release();
  throw;
}

void join_nothing() {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument), "the handle has no fiber");
}

executor::executor(runtime_options options, unsigned driven)
    : impl_(std::make_unique<scheduler>(std::move(options), driven)) {}

executor::~executor() {
  if (runs_caller()) misuse("a fiber destroys the runtime that runs it");
  impl_->end();
}

bool executor::runs_caller() const noexcept {
  const worker* const here = current_worker();
  return here != nullptr && &here->owner() == impl_.get() && !here->at_root();
}

bool executor::shutdown(std::chrono::nanoseconds grace) {
  if (runs_caller()) misuse("a fiber shuts down the runtime that runs it, and would wait for itself");
  if (impl_->quiesce(deadline::after(grace))) return true;
  dump_to_stderr(*impl_, "fibers remain after a shutdown");
  return false;
}

void executor::dump(std::ostream& out, dump_format format) const { detail::dump(*impl_, out, format); }

void executor::write_trace(std::ostream& out) const { detail::write_trace(*impl_, out); }

runtime_stats executor::stats() const { return impl_->stats(); }

std::vector<stack_usage> executor::stack_report() const {
  stack_meter* const meter = impl_->meter();
  return meter == nullptr ? std::vector<stack_usage>{} : meter->report();
}

const runtime_options& executor::options() const noexcept { return impl_->options(); }

main_runtime::main_runtime(runtime_options options) : executor(std::move(options), 1) {
  scheduler_().at(0).enter();
}

main_runtime::~main_runtime() {
  scheduler_().end();
  scheduler_().at(0).leave();
}

}  // namespace detail

std::string_view to_string(io_backend backend) noexcept {
  switch (backend) {
    case io_backend::automatic:
      return "automatic";
    case io_backend::io_uring:
      return "io_uring";
    case io_backend::epoll:
      return "epoll";
    case io_backend::kqueue:
      return "kqueue";
  }
  return "unknown";
}

std::string_view to_string(scheduling policy) noexcept {
  return policy == scheduling::pinned ? "pinned" : "work_stealing";
}

}  // namespace zsync
