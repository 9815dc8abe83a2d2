// What every C++ program of the suite shares: `PROGRAM ROW [REPETITIONS [SCALE]]` prints one JSON line a
// measurement, with wall time and processor time of the whole process for one operation.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

namespace bench {

inline double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// One field of /proc/self/status, in KiB.
inline long status_kib(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (!file) return 0;
  char line[256];
  long value = 0;
  while (std::fgets(line, sizeof line, file))
    if (std::strncmp(line, field, std::strlen(field)) == 0) value = std::atol(line + std::strlen(field) + 1);
  std::fclose(file);
  return value;
}

// What the process occupies: resident pages, and the page tables that map them.
struct memory {
  double resident = 1024.0 * static_cast<double>(status_kib("VmRSS"));
  double tables = 1024.0 * static_cast<double>(status_kib("VmPTE"));
};

class meter {
 public:
  meter(const char* row, double scale) : row_(row), scale_(scale) {}

  // How many of `full` to do in this run; never less than `least`.
  [[nodiscard]] long scaled(long full, long least = 1) const {
    return std::max(least, static_cast<long>(static_cast<double>(full) * scale_));
  }

  void start() {
    wall_ = seconds(CLOCK_MONOTONIC);
    cpu_ = seconds(CLOCK_PROCESS_CPUTIME_ID);
  }
  void stop(long operations) {
    cpu_ = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_;
    wall_ = seconds(CLOCK_MONOTONIC) - wall_;
    operations_ = operations;
  }
  void extra(const char* name, double value) {
    char text[96];
    std::snprintf(text, sizeof text, ",\"%s\":%.6g", name, value);
    extras_ += text;
  }
  void memory_since(const memory& before, long objects) {
    const memory after;
    extra("bytes", (after.resident - before.resident) / static_cast<double>(objects));
    extra("table_bytes", (after.tables - before.tables) / static_cast<double>(objects));
  }
  // For rows whose figure is a latency: reports percentiles instead of a mean.
  void latencies(std::vector<double>& ns) {
    std::sort(ns.begin(), ns.end());
    extra("p50", ns[ns.size() / 2]);
    extra("p90", ns[ns.size() * 9 / 10]);
    extra("p99", ns[ns.size() * 99 / 100]);
  }
  void print() const {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto n = static_cast<double>(std::max(1L, operations_));
    std::printf("{\"row\":\"%s\",\"ops\":%ld,\"wall\":%.6g,\"cpu\":%.6g,\"peak_kib\":%ld%s}\n", row_,
                operations_, wall_ * 1e9 / n, cpu_ * 1e9 / n, usage.ru_maxrss, extras_.c_str());
    std::fflush(stdout);
  }

 private:
  const char* row_;
  double scale_;
  double wall_ = 0;
  double cpu_ = 0;
  long operations_ = 0;
  std::string extras_;
};

struct row {
  const char* name;
  void (*measure)(meter&);
  bool warm = true;  // run it once at a tenth of its size before the first measurement
};

// Leaves without tearing anything down: some rows end with a hundred thousand sleepers.
inline int run(int argc, char** argv, std::initializer_list<row> rows) {
  const char* wanted = argc > 1 ? argv[1] : "";
  const int repetitions = argc > 2 ? std::atoi(argv[2]) : 1;
  const double scale = argc > 3 ? std::atof(argv[3]) : 1.0;
  if (std::strcmp(wanted, "list") == 0) {
    for (const row& each : rows) std::printf("%s\n", each.name);
    return 0;
  }
  for (const row& each : rows) {
    if (std::strcmp(each.name, wanted) != 0) continue;
    if (each.warm) {
      meter rehearsal(each.name, scale * 0.1);
      each.measure(rehearsal);
    }
    for (int i = 0; i < repetitions; ++i) {
      meter m(each.name, scale);
      each.measure(m);
      m.print();
    }
    std::fflush(stdout);
    std::_Exit(0);
  }
  std::fprintf(stderr, "usage: %s ROW [REPETITIONS [SCALE]]; `%s list` names the rows\n", argv[0], argv[0]);
  return 2;
}

}  // namespace bench
