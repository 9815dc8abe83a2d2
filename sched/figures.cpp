#include <zsync/sched/figures.hpp>

#include <zsync/sched/picture.hpp>
#include <zsync/sched/plain_text.hpp>
#include <zsync/sched/prometheus.hpp>

#include <array>
#include <list>
#include <ostream>
#include <span>

namespace zsync {
namespace detail {
namespace {

struct metric {
  const char* name;
  const char* type;
  const char* help;
  std::uint64_t (*of)(const runtime_stats&);
};

constexpr std::array metrics{
    metric{"zsync_workers", "gauge", "Threads that run fibers.",
           [](const runtime_stats& s) { return std::uint64_t{s.workers}; }},
    metric{"zsync_fibers_alive", "gauge", "Fibers that have not ended, newborns included.",
           [](const runtime_stats& s) { return s.fibers_alive; }},
    metric{"zsync_stacks", "gauge", "Stacks ever carved; they are reused.",
           [](const runtime_stats& s) { return std::uint64_t{s.stacks}; }},
    metric{"zsync_fibers_spawned_total", "counter", "Fibers spawned.",
           [](const runtime_stats& s) { return s.fibers_spawned; }},
    metric{"zsync_fibers_finished_total", "counter", "Fibers that have ended.",
           [](const runtime_stats& s) { return s.fibers_finished; }},
    metric{"zsync_switches_total", "counter", "Times that a worker went on with another fiber.",
           [](const runtime_stats& s) { return s.switches; }},
    metric{"zsync_newborns_stolen_total", "counter", "Unstarted fibers that another worker took.",
           [](const runtime_stats& s) { return s.newborns_stolen; }},
    metric{"zsync_fibers_stolen_total", "counter", "Started fibers that another worker took.",
           [](const runtime_stats& s) { return s.fibers_stolen; }},
    metric{"zsync_polls_total", "counter", "Looks at the kernel for I/O, blocking or not.",
           [](const runtime_stats& s) { return s.polls; }},
    metric{"zsync_sleeps_total", "counter", "Looks at the kernel that could block.",
           [](const runtime_stats& s) { return s.sleeps; }},
};

struct labelled {
  std::string_view runtime;
  const runtime_stats* figures;
};

void head(plain_text& text, const char* name, const char* type, const char* help) {
  text << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
}

void add_metrics(plain_text& text, std::span<const labelled> runtimes) {
  for (const metric& m : metrics) {
    head(text, m.name, m.type, m.help);
    for (const labelled& one : runtimes) {
      (text << m.name << "{runtime=").add_label(one.runtime) << "} " << m.of(*one.figures) << '\n';
    }
  }
}

template <class F>
void add_per_worker(plain_text& text, const std::list<picture>& all, const char* name, const char* help,
                    F add) {
  head(text, name, "gauge", help);
  for (const picture& one : all) {
    for (std::size_t i = 0; i < one.workers.size(); ++i) {
      if (!one.workers[i].answered) continue;
      (text << name << "{runtime=").add_label(one.name) << ",worker=\"" << i << "\"} ";
      add(one.workers[i]);
      text << '\n';
    }
  }
}

std::uint64_t microseconds(clock::duration d) noexcept {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
}

}  // namespace

std::string prometheus_of_all() {
  const std::list<picture> all = all_pictures(look::figures_only);
  std::vector<labelled> runtimes;
  for (const picture& one : all) runtimes.push_back({one.name, &one.figures});
  plain_text text;
  add_metrics(text, runtimes);
  add_per_worker(text, all, "zsync_ready_fibers", "Fibers that stand in a worker's queue to go on.",
                 [&](const worker_view& w) { text << w.answer.ready; });
  add_per_worker(text, all, "zsync_newborn_fibers", "Fibers of a worker that have not begun.",
                 [&](const worker_view& w) { text << w.answer.newborns; });
  add_per_worker(text, all, "zsync_worker_answer_microseconds",
                 "How long a worker took to answer; one that does not answer is missing.",
                 [&](const worker_view& w) { text << microseconds(w.answered_after); });
  return std::string(text.view());
}

std::string figures_of_all() {
  plain_text text;
  for (const picture& one : all_pictures(look::figures_only)) {
    (text << "runtime ").add_line(one.name) << "\nbackend " << to_string(one.figures.backend)
                                            << "\nscheduling " << to_string(one.figures.policy) << '\n';
    for (const metric& m : metrics)
      text << (m.name + sizeof "zsync_" - 1) << ' ' << m.of(one.figures) << '\n';
    text << "newborn_for_any_worker " << one.injected << '\n';
    for (std::size_t i = 0; i < one.workers.size(); ++i) {
      const worker_view& w = one.workers[i];
      text << "worker " << i;
      if (w.answered) {
        text << ' ' << w.answer.ready << ' ' << w.answer.newborns << ' ' << microseconds(w.answered_after)
             << '\n';
      } else {
        text << " silent\n";
      }
    }
  }
  return std::string(text.view());
}

}  // namespace detail

void to_prometheus(const runtime_stats& stats, std::ostream& out, std::string_view runtime) {
  detail::plain_text text;
  const detail::labelled one{runtime, &stats};
  detail::add_metrics(text, {&one, 1});
  text.write_to(out);
}

}  // namespace zsync
