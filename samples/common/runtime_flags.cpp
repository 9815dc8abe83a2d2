#include "common/runtime_flags.hpp"

#include "common/arguments.hpp"
#include "common/text.hpp"

#include <zsync/io/backends.hpp>

#include <CLI/App.hpp>
#include <cerrno>
#include <iostream>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace samples {

void runtime_flags::add_to(CLI::App& command) {
  using zsync::io_backend;
  using zsync::scheduling;
  std::vector<std::pair<std::string, io_backend>> backends{{"automatic", io_backend::automatic}};
  for (const io_backend backend : zsync::built_backends()) {
    backends.emplace_back(std::string(zsync::to_string(backend)), backend);
  }
  add_choice(command, "--backend", options_.backend, std::move(backends), "How to wait for the kernel")
      ->group("Runtime");
  add_count(command, "--workers", workers_, 0, 1024, "Threads that run fibers; 0: as many as there are CPUs")
      ->group("Runtime");
  add_size(command, "--stack-size", stack_size_, 16 << 10, 1 << 30, "Address space for each fiber's stack")
      ->group("Runtime");
  add_choice(command, "--scheduling", options_.policy,
             {{"pinned", scheduling::pinned}, {"work_stealing", scheduling::work_stealing}},
             "Where started fibers run")
      ->group("Runtime");
  add_text(command, "--trace", trace_,
           "Write what fibers did, at most the last quarter of a million events a worker, "
           "for ui.perfetto.dev",
           "FILE")
      ->group("Runtime");
  command.add_flag("--stats", stats_, "Print the runtime's counters at the end")->group("Runtime");
  command
      .add_flag("--inspect", inspect_,
                "Answer `zsync-run dump` and `zsync-run stat`, of this user and root alone")
      ->group("Runtime");
}

zsync::runtime_options runtime_flags::options() const {
  zsync::runtime_options result = options_;
  result.workers = static_cast<unsigned>(workers_);
  result.stack_size = stack_size_;
  if (!trace_.empty()) result.trace_events = std::size_t{1} << 18;
  return result;
}

std::optional<zsync::inspection> runtime_flags::inspection() const {
  return inspect_ ? std::make_optional<zsync::inspection>() : std::nullopt;
}

void runtime_flags::open_trace() {
  if (trace_.empty()) return;
  trace_file_.open(trace_);
  if (!trace_file_) throw std::system_error(errno, std::generic_category(), trace_);
}

void runtime_flags::write_trace(const zsync::runtime& of) {
  if (trace_.empty()) return;
  of.write_trace(trace_file_);
  trace_file_.close();
  if (!trace_file_) throw std::runtime_error("cannot write to " + trace_);
}

void runtime_flags::print_stats(const zsync::runtime_stats& s) const {
  if (!stats_) return;
  const auto row = [](std::string_view name, const std::string& value) {
    std::cerr << "  " << name << std::string(18 - name.size(), ' ') << value << '\n';
  };
  row("backend", std::string(zsync::to_string(s.backend)));
  row("workers", count_text(s.workers) + ", " + std::string(zsync::to_string(s.policy)));
  row("fibers spawned", count_text(s.fibers_spawned));
  row("fibers finished", count_text(s.fibers_finished));
  row("stacks", count_text(s.stacks));
  row("switches", count_text(s.switches));
  row("newborns stolen", count_text(s.newborns_stolen));
  row("fibers stolen", count_text(s.fibers_stolen));
  row("polls", count_text(s.polls));
  row("sleeps", count_text(s.sleeps));
}

}  // namespace samples
