#include <zsync/sched/dump.hpp>

#include <zsync/fiber/backtrace.hpp>
#include <zsync/sched/listing.hpp>
#include <zsync/sched/sample.hpp>
#include <zsync/sched/scheduler.hpp>

#include <cstdio>
#include <iomanip>
#include <memory>
#include <ostream>
#include <sstream>
#include <thread>
#include <unordered_map>

namespace zsync::detail {
namespace {

constexpr std::chrono::milliseconds patience{200};

struct inquiry {
  worker_listing answer;
  bool asked = false;
  bool failed = false;
};

class asking {
 public:
  explicit asking(scheduler& of) : of_(of), inquiries_(of.size()) {
    worker* const here = current_worker();
    const deadline end = deadline::after(patience);
    while (!all_answered()) {
      // Somebody else may be asking us.
      if (here != nullptr) here->answer_listing();
      if (end.has_passed()) {
        give_up();
        break;
      }
      std::this_thread::sleep_for(std::chrono::microseconds{100});
    }
  }

  [[nodiscard]] const inquiry& of(unsigned index) const noexcept { return inquiries_[index]; }

 private:
  bool all_answered() {
    bool all = true;
    for (unsigned i = 0; i < of_.size(); ++i) {
      if (!inquiries_[i].answer.done.load(std::memory_order_acquire))
        all = ask(of_.at(i), inquiries_[i]) && all;
    }
    return all;
  }

  // True: answered at once.
  bool ask(worker& w, inquiry& i) {
    if (current_worker() == &w) {
      w.list_fibers(i.answer);
      return true;
    }
    // A loop whose thread has left it meanwhile will not answer.
    if (i.asked && !w.driven() && w.withdraw(i.answer)) i.asked = false;
    if (!i.asked && w.list_if_parked(i.answer)) return true;
    if (!i.asked) i.asked = w.ask(i.answer);
    return false;
  }

  void give_up() noexcept {
    for (unsigned i = 0; i < of_.size(); ++i) {
      inquiry& one = inquiries_[i];
      one.failed =
          !one.answer.done.load(std::memory_order_acquire) && (!one.asked || of_.at(i).withdraw(one.answer));
      // Not withdrawn: it is at it.
      while (!one.failed && !one.answer.done.load(std::memory_order_acquire)) std::this_thread::yield();
    }
  }

  scheduler& of_;
  std::vector<inquiry> inquiries_;
};

class printer {
 public:
  explicit printer(std::ostream& out) : out_(out) {}

  void heading(scheduler& of) {
    const runtime_stats figures = of.stats();
    out_ << "runtime '" << of.options().name << "': " << figures.workers << " workers, "
         << to_string(figures.backend) << ", " << to_string(figures.policy) << "; " << figures.fibers_alive
         << " fibers alive, " << figures.fibers_spawned << " spawned\n";
    if (const std::size_t free = of.injected(); free != 0) out_ << free << " newborn for any worker\n";
  }

  void answered(const worker& w, const worker_listing& listing) {
    out_ << "worker " << w.index() << ": " << listing.fibers.size() << " fibers, " << listing.newborns
         << " newborn\n";
    for (const fiber_record& f : listing.fibers) {
      fiber(f);
      for (std::size_t i = f.frames_begin; i < f.frames_end; ++i) frame(listing.frames[i]);
    }
    if (listing.cut_short) out_ << "  there is no memory for the others\n";
  }

  void unanswered(worker& w) {
    worker_sample sample;
    out_ << "worker " << w.index();
    if (!take_sample(w, sample, patience)) {
      out_ << " did not answer\n";
      return;
    }
    if (!sample.in_fiber) {
      out_ << " did not answer, and runs no fiber\n";
    } else {
      out_ << " is running fiber " << sample.id << " '" << sample.name << "' and did not answer\n";
      origin(sample.spawned_at, sample.stack_size);
    }
    for (std::size_t i = 0; i < sample.frames_count; ++i) frame(sample.frames[i]);
  }

 private:
  void fiber(const fiber_record& f) {
    out_ << "  fiber " << f.id << " '" << f.name << "': ";
    switch (f.state) {
      case fiber_state::running:
        out_ << "running";
        break;
      case fiber_state::ready:
        out_ << "ready";
        break;
      case fiber_state::waiting:
        waiting(f);
        break;
    }
    if (f.cancelling) out_ << ", cancellation requested";
    out_ << '\n';
    origin(f.spawned_at, f.stack_size);
  }

  void waiting(const fiber_record& f) {
    out_ << "waiting, " << to_string(f.why);
    if (f.on != nullptr) out_ << ' ' << f.on;
    out_ << ", for " << seconds(now_ - f.since);
    if (f.until.is_never()) return;
    out_ << ", until in " << seconds(std::max(f.until.time() - now_, clock::duration::zero()));
  }

  void origin(const void* spawned_at, std::size_t stack_size) {
    out_ << "    spawned at " << symbol(spawned_at) << ", stack of " << stack_size / 1024 << " KiB\n";
  }

  void frame(const void* code) { out_ << "      " << symbol(code) << '\n'; }

  const std::string& symbol(const void* code) {
    auto [at, is_new] = symbols_.try_emplace(code);
    if (is_new) at->second = symbol_name(code);
    return at->second;
  }

  static std::string seconds(clock::duration d) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(3) << std::chrono::duration<double>(d).count() << " s";
    return text.str();
  }

  std::ostream& out_;
  const clock::time_point now_ = clock::now();
  std::unordered_map<const void*, std::string> symbols_;
};

}  // namespace

void dump(scheduler& of, std::ostream& out) {
  check_not_forked();
  const asking all(of);
  printer print(out);
  print.heading(of);
  for (unsigned i = 0; i < of.size(); ++i) {
    if (all.of(i).failed) {
      print.unanswered(of.at(i));
    } else {
      print.answered(of.at(i), all.of(i).answer);
    }
  }
}

void dump_to_stderr(scheduler& of, const char* heading) noexcept {
  try {
    std::ostringstream text;
    text << "zsync: " << heading << ":\n";
    dump(of, text);
    std::fputs(text.str().c_str(), stderr);
  } catch (...) {
    std::fprintf(stderr, "zsync: %s, and there is no memory to say which\n", heading);
  }
}

}  // namespace zsync::detail
