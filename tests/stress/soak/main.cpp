// The soak: everything at once, under chaos, for as long as asked; then a verdict. See scripts/soak.
#include "actor.hpp"
#include "support/descriptors.hpp"

#include <zsync/zsync.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

namespace zsync::soak {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

constexpr auto report_every = 10s;
constexpr auto hang_after = 30s;

struct running_actor {
  explicit running_actor(actor what) : is(std::move(what)) {}

  actor is;
  tally figures;
  std::uint64_t rounds_before = 0;  // at the last report
  std::uint64_t rounds_seen = 0;    // at the last sign of life
  steady::time_point alive_at = steady::now();

  [[nodiscard]] std::uint64_t rounds() const { return figures.done + figures.disturbed; }
};

void live(running_actor& who, std::uint64_t seed) {
  randomness dice(seed);
  for (;;) {
    this_fiber::cancellation_point();
    try {
      who.is.round(who.figures, dice);
      ++who.figures.done;
    } catch (const std::system_error& e) {
      // Faults come from outside: no descriptors, reset peers, deadlines of the round's own.
      ++who.figures.disturbed;
      if (who.figures.disturbed == 1)
        std::fprintf(stderr, "%s: disturbed first by: %s\n", who.is.name.c_str(), e.what());
    }
  }
}

double resident_mib() {
  std::ifstream statm("/proc/self/statm");
  long size = 0;
  long resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[values.size() / 2];
}

class soak {
 public:
  soak(runtime_options options, std::uint64_t seed) : runtime_(std::move(options)) {
    for (actor (*make)() :
         {echo_actor, channel_actor, select_actor, lock_actor, tree_actor, timer_actor, thread_actor}) {
      actors_.push_back(std::make_unique<running_actor>(make()));
    }
    for (const auto& who : actors_) {
      for (unsigned i = 0; i < who->is.fibers; ++i) {
        runtime_.post([&one = *who, own = ++seed] {
          try {
            live(one, own);
          } catch (const cancelled&) {
          }
        });
      }
    }
  }

  // False: somebody made no progress, or something was wrong.
  bool watch(std::chrono::duration<double> length) {
    const auto start = steady::now();
    auto next_report = start + report_every;
    while (steady::now() - start < length) {
      std::this_thread::sleep_for(200ms);
      memory_.push_back(resident_mib());
      for (const auto& who : actors_) {
        if (hangs(*who)) return false;
      }
      if (steady::now() < next_report) continue;
      next_report += report_every;
      report(std::chrono::duration<double>(steady::now() - start).count());
    }
    return total(&tally::wrong) == 0;
  }

  bool stop() { return runtime_.shutdown(30s); }

  [[nodiscard]] bool memory_is_flat() const {
    const std::size_t quarter = memory_.size() / 4;
    const auto at = [&](std::size_t n) { return memory_.begin() + static_cast<std::ptrdiff_t>(n * quarter); };
    const double early = median({at(1), at(2)});
    const double late = median({at(3), memory_.end()});
    std::printf("memory: %.1f MiB in the second quarter, %.1f in the last\n", early, late);
    return ZSYNC_TESTS_SANITIZED || late < early * 1.1 + 8;  // a sanitizer's own memory grows
  }

  [[nodiscard]] std::uint64_t total(std::atomic<std::uint64_t> tally::*figure) const {
    std::uint64_t sum = 0;
    for (const auto& who : actors_) sum += who->figures.*figure;
    return sum;
  }

 private:
  bool hangs(running_actor& who) {
    const auto now = steady::now();
    if (who.rounds() != std::exchange(who.rounds_seen, who.rounds())) who.alive_at = now;
    if (now - who.alive_at < hang_after) return false;
    std::printf("%s hangs: nothing done in %lld s\n", who.is.name.c_str(),
                static_cast<long long>(hang_after.count()));
    return true;
  }

  void report(double elapsed) {
    std::printf("%6.0f s ", elapsed);
    for (const auto& who : actors_) {
      const std::uint64_t rounds = who->rounds();
      const std::uint64_t since = rounds - std::exchange(who->rounds_before, rounds);
      std::printf(" %s %llu/s", who->is.name.c_str(),
                  static_cast<unsigned long long>(since / report_every.count()));
    }
    std::uint64_t latest = 0;
    for (const auto& who : actors_) latest = std::max(latest, who->figures.latest_us.exchange(0));
    std::printf("  disturbed %llu  wrong %llu  late %llu us  descriptors %zu  fibers %llu  %.1f MiB\n",
                static_cast<unsigned long long>(total(&tally::disturbed)),
                static_cast<unsigned long long>(total(&tally::wrong)),
                static_cast<unsigned long long>(latest), test::open_descriptors().size(),
                static_cast<unsigned long long>(runtime_.stats().fibers_alive), memory_.back());
    std::fflush(stdout);
  }

  std::vector<std::unique_ptr<running_actor>> actors_;
  std::vector<double> memory_;
  runtime runtime_;  // last, so that it ends first
};

int main_(double minutes, const runtime_options& options, std::uint64_t seed) {
  std::printf("soak: %g minutes, %s, %u workers, seed %llu\n", minutes,
              std::string(to_string(options.backend)).c_str(), options.workers,
              static_cast<unsigned long long>(seed));
  const test::descriptor_map before = test::open_descriptors();
  bool well = true;
  {
    soak all(options, seed);
    if (!all.watch(std::chrono::duration<double>(minutes * 60))) {
      std::printf("wrong: %llu\n", static_cast<unsigned long long>(all.total(&tally::wrong)));
      std::fflush(stdout);
      std::_Exit(1);  // a hang would only hang the end as well
    }
    if (!all.stop()) {
      std::printf("fibers remain 30 s after the end\n");
      std::fflush(stdout);
      std::_Exit(1);
    }
    well = all.memory_is_flat();
    std::printf("rounds: %llu, disturbed: %llu\n", static_cast<unsigned long long>(all.total(&tally::done)),
                static_cast<unsigned long long>(all.total(&tally::disturbed)));
  }
  const std::string leaked = test::leaked_descriptors(before, test::open_descriptors());
  std::printf("%s%s\n", leaked.c_str(), well && leaked.empty() ? "all well" : "not well");
  return well && leaked.empty() ? 0 : 1;
}

}  // namespace
}  // namespace zsync::soak

int main(int argc, char** argv) {
  const double minutes = argc > 1 ? std::atof(argv[1]) : 1;
  zsync::runtime_options options;
  const std::string backend = argc > 2 ? argv[2] : "automatic";
  for (const auto candidate :
       {zsync::io_backend::epoll, zsync::io_backend::io_uring, zsync::io_backend::kqueue}) {
    if (backend == to_string(candidate)) options.backend = candidate;
  }
  options.workers = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 0;
  const std::uint64_t seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1;
  return zsync::soak::main_(minutes, options, seed);
}
