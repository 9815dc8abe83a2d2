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

TEST_CASE("the memory of a burst of fibers goes back once nobody needs it", "[stress]") {
  if (test::sanitized) return;
  const auto result = test::run_in_child([] {
    zsync::run(
        [] {
          constexpr std::size_t count = 20'000;
          constexpr std::size_t mib = std::size_t{1} << 20;
          const auto burst = [] {
            std::vector<zsync::fiber<>> fibers;
            std::size_t begun = 0;
            for (std::size_t i = 0; i < count; ++i) {
              fibers.emplace_back([&begun] {
                volatile char touched[12'000];
                for (std::size_t k = 0; k < sizeof(touched); k += 1000) touched[k] = 1;
                ++begun;
                zsync::this_fiber::park();
              });
            }
            while (begun < count) zsync::this_fiber::yield();
            for (auto& one : fibers) one.cancel();
          };
          burst();
          const std::size_t after = resident_bytes();
          // A second in which all are needed again keeps them.
          for (int i = 0; i < 15; ++i) {
            burst();
            zsync::this_fiber::sleep_for(std::chrono::milliseconds{100});
          }
          const bool kept = resident_bytes() > after / 10 * 9;
          for (int i = 0; i < 100 && resident_bytes() > after / 4; ++i)
            zsync::this_fiber::sleep_for(std::chrono::milliseconds{100});
          burst();  // on stacks that were emptied
          std::printf("%d %d %d", after > count * 12'000, kept, resident_bytes() > after / 10 * 9);
          for (int i = 0; i < 100 && resident_bytes() > after / 4; ++i)
            zsync::this_fiber::sleep_for(std::chrono::milliseconds{100});
          std::printf(" %zu", (after - resident_bytes()) / mib);
        },
        {.workers = 1});
  });
  CAPTURE(result.err, result.out);
  REQUIRE(result.exit_code == 0);
  int held = 0, kept = 0, again = 0;
  std::size_t returned = 0;  // MiB
  REQUIRE(std::sscanf(result.out.c_str(), "%d %d %d %zu", &held, &kept, &again, &returned) == 4);
  CHECK(held == 1);
  CHECK(kept == 1);
  CHECK(again == 1);
  CHECK(returned >= 200);
}
