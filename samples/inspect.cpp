#include "inspect.hpp"

#include "common/arguments.hpp"
#include "common/inspector.hpp"
#include "common/text.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

namespace samples {
namespace {

using steady = std::chrono::steady_clock;

struct worker_figures {
  std::string index;
  bool silent = true;
  std::uint64_t ready = 0;
  std::uint64_t newborns = 0;
  std::uint64_t answered_after = 0;  // microseconds
};

struct figures {
  std::string name;
  std::map<std::string, std::string> values;
  std::vector<worker_figures> workers;

  [[nodiscard]] std::uint64_t number(const std::string& of) const {
    const auto at = values.find(of);
    return at == values.end() ? 0 : std::stoull(at->second);
  }
  [[nodiscard]] std::string text(const std::string& of) const {
    const auto at = values.find(of);
    return at == values.end() ? "" : at->second;
  }
};

worker_figures parse_worker(std::istream& line) {
  worker_figures w;
  line >> w.index;
  w.silent = !(line >> w.ready >> w.newborns >> w.answered_after);
  return w;
}

std::vector<figures> parse(const std::string& answer) {
  std::vector<figures> all;
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::string rest;
    if (name == "worker" && !all.empty()) {
      all.back().workers.push_back(parse_worker(words));
      continue;
    }
    std::getline(words >> std::ws, rest);
    if (name == "runtime") {
      all.push_back({rest, {}, {}});
    } else if (!all.empty()) {
      all.back().values[name] = rest;
    }
  }
  return all;
}

// Of what is counted, and what it is called here.
constexpr std::array<std::array<const char*, 2>, 7> counted{{{"fibers_spawned_total", "spawned"},
                                                             {"fibers_finished_total", "finished"},
                                                             {"switches_total", "switches"},
                                                             {"newborns_stolen_total", "newborns stolen"},
                                                             {"fibers_stolen_total", "fibers stolen"},
                                                             {"polls_total", "looks at the kernel"},
                                                             {"sleeps_total", "of them, sleeps"}}};

void print_row(const std::string& name, const std::string& value) {
  std::cout << "  " << name << std::string(22 - std::min<std::size_t>(22, name.size()), ' ') << value << '\n';
}

void print(const figures& now, const figures* before, double seconds) {
  std::cout << "runtime '" << now.name << "': " << now.text("workers") << " workers, " << now.text("backend")
            << ", " << now.text("scheduling") << '\n';
  print_row("fibers alive", count_text(now.number("fibers_alive")));
  for (const auto& [name, called] : counted) {
    print_row(called, before == nullptr ? count_text(now.number(name))
                                        : rate_text(before->number(name), now.number(name), seconds));
  }
  for (const worker_figures& w : now.workers) {
    print_row("worker " + w.index, w.silent ? "does not answer: a fiber holds it; see `zsync-run dump`"
                                            : count_text(w.ready) + " ready, " + count_text(w.newborns) +
                                                  " newborn, answers after " + count_text(w.answered_after) +
                                                  " us");
  }
  std::cout.flush();
}

const figures* same_runtime(const std::vector<figures>& in, std::size_t index, const std::string& name) {
  return index < in.size() && in[index].name == name ? &in[index] : nullptr;
}

}  // namespace

std::vector<std::string> inspecting::names() { return {"dump", "stat"}; }

void inspecting::add_to(CLI::App& app) {
  auto* const dump = app.add_subcommand("dump", "Says what each fiber of a running process waits for");
  auto* const stat = app.add_subcommand("stat", "Shows the figures of a running process, second by second");
  for (CLI::App* const one : {dump, stat}) {
    add_count(*one, "PID", pid_, 1, 1 << 30,
              "The process, open to inspection: ZSYNC_INSPECT=1, or --inspect of a sample")
        ->required();
    one->group("Looking into a process")->allow_extras();
  }
  dump->add_flag("--json", json_, "As JSON: an array with an object for each runtime");
  stat->add_flag("--once", once_, "What has been counted so far, once, and exit");
  stat->add_flag("--prometheus", prometheus_, "As the text format of Prometheus, once");
  add_duration(*stat, "--interval", interval_, "How often");
  dump_ = dump;
  stat_ = stat;
}

bool inspecting::run() const {
  const auto pid = static_cast<pid_t>(pid_);
  if (dump_->parsed()) {
    std::cout << inspect(pid, json_ ? "dump json" : "dump text") << std::flush;
  } else if (stat_->parsed() && prometheus_) {
    std::cout << inspect(pid, "prometheus") << std::flush;
  } else if (stat_->parsed()) {
    show_figures();
  } else {
    return false;
  }
  return true;
}

// Until the process ends, or Ctrl-C.
void inspecting::show_figures() const {
  std::vector<figures> before;
  for (steady::time_point then{};; std::this_thread::sleep_for(interval_)) {
    const std::vector<figures> now = parse(inspect(static_cast<pid_t>(pid_), "stat"));
    const auto at = steady::now();
    const double seconds = std::chrono::duration<double>(at - then).count();
    if (now.empty()) std::cout << "there is no runtime\n" << std::flush;
    for (std::size_t i = 0; i < now.size(); ++i) print(now[i], same_runtime(before, i, now[i].name), seconds);
    if (once_) return;
    before = now;
    then = at;
  }
}

}  // namespace samples
