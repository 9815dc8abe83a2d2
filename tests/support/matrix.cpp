#include "support/matrix.hpp"

#include <zsync/sched/poller.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>

namespace zsync::test {
namespace {

std::vector<std::string> listed_in(const char* variable) {
  std::vector<std::string> items;
  const char* value = std::getenv(variable);
  std::string_view rest = value == nullptr ? "" : value;
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (comma > 0) items.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return items;
}

std::vector<io_backend> chosen_backends() {
  std::vector<io_backend> chosen = available_backends();
  const std::vector<std::string> wanted = listed_in("ZSYNC_TEST_BACKENDS");
  if (!wanted.empty()) {
    std::erase_if(chosen,
                  [&](io_backend b) { return std::ranges::find(wanted, to_string(b)) == wanted.end(); });
  }
  if (chosen.empty()) throw std::runtime_error("ZSYNC_TEST_BACKENDS names no backend that this machine has");
  return chosen;
}

// Several: as many as there are CPUs, yet at least two, and more than that helps nobody's test.
std::vector<unsigned> chosen_workers() {
  const std::vector<std::string> wanted = listed_in("ZSYNC_TEST_WORKERS");
  if (wanted.empty()) return {1, std::clamp(std::thread::hardware_concurrency(), 2U, 4U)};
  std::vector<unsigned> chosen;
  for (const std::string& text : wanted) {
    unsigned count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc{} || end != text.data() + text.size() || count == 0) {
      throw std::runtime_error("ZSYNC_TEST_WORKERS: '" + text + "' is not a number of workers");
    }
    chosen.push_back(count);
  }
  return chosen;
}

// How fibers stay or move: the policies, and `migrating`, where every wake moves a fiber that may be moved.
struct movement {
  std::string_view name;
  scheduling policy;
  bool forced;
};

constexpr movement pinned{"pinned", scheduling::pinned, false};
constexpr movement work_stealing{"work_stealing", scheduling::work_stealing, false};
constexpr movement migrating{"migrating", scheduling::work_stealing, true};

std::vector<movement> chosen_movements(const axes& vary) {
  if (vary.pinned_only) return {pinned};
  const std::vector<std::string> wanted = listed_in("ZSYNC_TEST_POLICIES");
  if (wanted.empty()) return vary.policies ? std::vector{pinned, work_stealing} : std::vector{pinned};
  std::vector<movement> chosen;
  for (const std::string& text : wanted) {
    if (text == "pinned") {
      chosen.push_back(pinned);
    } else if (text == "work_stealing") {
      chosen.push_back(work_stealing);
    } else if (text == "migrating") {
      chosen.push_back(migrating);
    } else {
      throw std::runtime_error("ZSYNC_TEST_POLICIES: '" + text +
                               "' is not one of pinned, work_stealing and migrating");
    }
  }
  return chosen;
}

std::string describe(const runtime_options& options, const movement& how) {
  return std::string(to_string(options.backend)) + ", " + std::to_string(options.workers) +
         (options.workers == 1 ? " worker, " : " workers, ") + std::string(how.name);
}

}  // namespace

std::vector<io_backend> available_backends() {
  std::vector<io_backend> found;
  for (const io_backend backend : {io_backend::epoll, io_backend::io_uring, io_backend::kqueue}) {
    try {
      if (detail::choose_backend(backend) == backend) found.push_back(backend);
    } catch (const std::system_error&) {
      // Not built in, or refused by the kernel: not of this machine.
    }
  }
  return found;
}

std::vector<combination> combinations(axes vary) {
  const std::vector<io_backend> backends =
      vary.backends ? chosen_backends() : std::vector{io_backend::automatic};
  const std::vector<unsigned> counts = vary.workers ? chosen_workers() : std::vector{1U};
  const std::vector<movement> movements = chosen_movements(vary);

  std::vector<combination> all;
  for (const io_backend backend : backends) {
    for (const unsigned workers : counts) {
      for (const movement& how : movements) {
        combination one;
        one.options.backend = backend;
        one.options.workers = workers;
        one.options.policy = how.policy;
        one.options.force_migration = how.forced;
        one.name = describe(one.options, how);
        all.push_back(std::move(one));
      }
    }
  }
  return all;
}

}  // namespace zsync::test
