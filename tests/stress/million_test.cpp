// A million fibers parked at once: what each costs, and that the kernel's limit of mappings is far.
#include "support/in_fiber.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace test = zsync::test;

namespace {

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

std::size_t mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

bool guards_need_no_mapping() {
  const auto probe = test::run_in_child([] {
    zsync::run(
        [] {
          const std::size_t before = mappings();
          std::vector<zsync::fiber<>> some;
          for (int i = 0; i < 1000; ++i) some.emplace_back([] { zsync::this_fiber::park(); });
          zsync::this_fiber::sleep_for(std::chrono::milliseconds{20});
          std::printf("%d", mappings() < before + 500 ? 1 : 0);
        },
        {.workers = 1});
  });
  return probe.out == "1";
}

}  // namespace

TEST_CASE("a million parked fibers cost 4.6 KiB each and few mappings", "[stress][slow][serial]") {
  if (test::sanitized) return;  // everything costs several times as much there, and says nothing
  if (!guards_need_no_mapping()) {
    WARN("left out: this kernel's guards are mappings, of which there can be some 65,000");
    return;
  }
  // In a process of its own: the heap of this one may already have room.
  const auto result = test::run_in_child(
      [] {
        zsync::run(
            [] {
              constexpr std::size_t count = 1'000'000;
              std::vector<zsync::fiber<>> fibers;
              fibers.reserve(count);
              std::atomic<std::size_t> parked{0};
              const std::size_t before = resident_bytes();
              for (std::size_t i = 0; i < count; ++i) {
                fibers.emplace_back([&] {
                  ++parked;
                  zsync::this_fiber::park();
                });
              }
              while (parked < count) zsync::this_fiber::yield();
              std::printf("%zu %zu", (resident_bytes() - before) / count, mappings());
              for (auto& one : fibers) one.cancel();
            },
            {.workers = 1});
      },
      {.timeout = std::chrono::minutes{4}});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  std::size_t each = 0;
  std::size_t maps = 0;
  REQUIRE(std::sscanf(result.out.c_str(), "%zu %zu", &each, &maps) == 2);
  CAPTURE(each, maps);
  CHECK(each > 0);
  CHECK(each <= 4710);  // bytes: 4.6 KiB
  CHECK(maps <= 500);
}
