#include <zsync/io/sim/simulation.hpp>

#include <zsync/io/sim/abort_notice.hpp>
#include <zsync/io/sim/world.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/worker.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>

namespace zsync::sim {
namespace {

using zsync::detail::simulated::world;

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return {};
  std::uint64_t n = 0;
  const char* const end = text + std::strlen(text);
  const auto [read, error] = std::from_chars(text, end, n);
  if (error != std::errc() || read != end)
    throw std::invalid_argument(std::string(variable) + " is not a number: " + text);
  return n;
}

// Fibers that cannot be unwound refer to theirs for ever.
void keep(std::unique_ptr<world> stuck) {
  static std::mutex lock;
  static auto* const kept = new std::vector<std::unique_ptr<world>>;
  stuck->let_go();
  const std::lock_guard hold(lock);
  kept->push_back(std::move(stuck));
}

}  // namespace

report run(const options& how, const std::function<void()>& program) {
  if (zsync::detail::current_worker() != nullptr) zsync::detail::misuse("a simulation is begun by a fiber");
  const zsync::detail::simulated::abort_notice notice(how.seed);
  auto one = std::make_unique<world>(how);
  try {
    return one->run(program);
  } catch (...) {
    if (one->stuck()) keep(std::move(one));
    throw;
  }
}

report explore(const options& how, std::uint64_t seeds, const std::function<void()>& program) {
  options each = how;
  if (const auto seed = number_from("ZSYNC_SIM_SEED")) {
    each.seed = *seed;
    seeds = 1;
  } else if (const auto many = number_from("ZSYNC_SIM_SEEDS")) {
    seeds = *many;
  }
  report last;
  for (std::uint64_t i = 0; i < seeds; ++i, ++each.seed) {
    try {
      last = run(each, program);
    } catch (...) {
      std::fprintf(stderr, "zsync: the simulation failed with seed %llu; ZSYNC_SIM_SEED=%llu repeats it\n",
                   static_cast<unsigned long long>(each.seed), static_cast<unsigned long long>(each.seed));
      throw;
    }
  }
  return last;
}

std::uint64_t random(std::uint64_t below) { return world::of_thread().drawn().below(below); }

}  // namespace zsync::sim
