#include "common/resources.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace samples {
namespace {

// The most that root may ask for.
rlim_t system_limit() {
  rlim_t limit = 0;
  std::ifstream("/proc/sys/fs/nr_open") >> limit;
  return limit;
}

std::chrono::nanoseconds to_duration(const timeval& t) {
  return std::chrono::seconds{t.tv_sec} + std::chrono::microseconds{t.tv_usec};
}

}  // namespace

std::size_t raise_descriptor_limit(std::size_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;

  rlimit higher = limit;
  if (limit.rlim_max < wanted) {
    higher.rlim_cur = higher.rlim_max = std::max(limit.rlim_max, std::min<rlim_t>(wanted, system_limit()));
    if (setrlimit(RLIMIT_NOFILE, &higher) == 0) return higher.rlim_cur;
    higher = limit;  // not root: the hard limit is the end of it
  }
  higher.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &higher) == 0 ? higher.rlim_cur : limit.rlim_cur;
}

std::size_t resident_bytes() {
  std::size_t size = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

cpu_time cpu_time_used() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {to_duration(usage.ru_utime), to_duration(usage.ru_stime)};
}

}  // namespace samples
