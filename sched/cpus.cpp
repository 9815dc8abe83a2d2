#include <zsync/sched/cpus.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace zsync::detail {
namespace {

unsigned cpus_by_affinity() noexcept {
#if defined(__linux__)
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#endif
  return std::thread::hardware_concurrency();
}

// What a quota of `quota` in each `period` is worth, in CPUs; 0: no limit.
unsigned cpus_worth(double quota, double period) {
  if (quota <= 0 || period <= 0) return 0;
  return std::max(1U, static_cast<unsigned>(std::ceil(quota / period)));
}

double number_in(const std::string& path) {
  double value = 0;
  std::ifstream(path) >> value;
  return value;
}

// The path of this process within the hierarchy of the given controller; "" names version 2.
std::string group_path(const std::string& controller) {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = ',' + line.substr(first + 1, second - first - 1) + ',';
    if (controllers.find(',' + controller + ',') != std::string::npos) return line.substr(second + 1);
  }
  return "/";
}

// The limit of any group above ours holds for us as well.
template <class Read>
unsigned tightest_on_path(std::string path, Read read) {
  unsigned least = 0;
  for (;;) {
    if (const unsigned here = read(path == "/" ? "" : path); here != 0)
      least = least == 0 ? here : std::min(least, here);
    const auto slash = path.rfind('/');
    if (slash == std::string::npos || path == "/") return least;
    path = slash == 0 ? "/" : path.substr(0, slash);
  }
}

unsigned cpus_by_quota() {
  const unsigned two = tightest_on_path(group_path(""), [](const std::string& group) {
    std::ifstream file("/sys/fs/cgroup" + group + "/cpu.max");
    std::string quota;
    double period = 0;
    if (!(file >> quota >> period) || quota == "max") return 0U;
    return cpus_worth(std::strtod(quota.c_str(), nullptr), period);
  });
  if (two != 0) return two;
  return tightest_on_path(group_path("cpu"), [](const std::string& group) {
    const std::string folder = "/sys/fs/cgroup/cpu" + group;
    return cpus_worth(number_in(folder + "/cpu.cfs_quota_us"), number_in(folder + "/cpu.cfs_period_us"));
  });
}

}  // namespace

unsigned usable_cpus() noexcept {
  unsigned cpus = std::max(1U, cpus_by_affinity());
  try {
    if (const unsigned quota = cpus_by_quota(); quota != 0) cpus = std::min(cpus, quota);
  } catch (...) {
    // Without memory to read a file the mask has to do.
  }
  return cpus;
}

}  // namespace zsync::detail
