#include "support/matrix.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <set>

namespace test = zsync::test;

TEST_CASE("each combination has a name of its own", "[support]") {
  std::set<std::string> names;
  const auto all = test::combinations({.policies = true});
  for (const test::combination& one : all) names.insert(one.name);
  REQUIRE(names.size() == all.size());
  REQUIRE(all.size() >= 2);
}

TEST_CASE("a list in the environment narrows the combinations, and a bad one is refused", "[support]") {
  REQUIRE(setenv("ZSYNC_TEST_WORKERS", "3", 1) == 0);
  for (const test::combination& one : test::combinations()) CHECK(one.options.workers == 3);
  REQUIRE(setenv("ZSYNC_TEST_WORKERS", "3x", 1) == 0);
  CHECK_THROWS(test::combinations());
  REQUIRE(unsetenv("ZSYNC_TEST_WORKERS") == 0);
  REQUIRE(setenv("ZSYNC_TEST_BACKENDS", "epoll", 1) == 0);
  for (const test::combination& one : test::combinations())
    CHECK(one.options.backend == zsync::io_backend::epoll);
  REQUIRE(setenv("ZSYNC_TEST_BACKENDS", "none", 1) == 0);
  CHECK_THROWS(test::combinations());
  REQUIRE(unsetenv("ZSYNC_TEST_BACKENDS") == 0);
}

TEST_CASE("a list of policies in the environment is for all tests but those that need pinned fibers",
          "[support]") {
  REQUIRE(setenv("ZSYNC_TEST_POLICIES", "work_stealing,migrating", 1) == 0);
  std::set<bool> forced;
  for (const test::combination& one : test::combinations()) {
    CHECK(one.options.policy == zsync::scheduling::work_stealing);
    forced.insert(one.options.force_migration);
  }
  CHECK(forced.size() == 2);
  for (const test::combination& one : test::combinations({.pinned_only = true})) {
    CHECK(one.options.policy == zsync::scheduling::pinned);
    CHECK_FALSE(one.options.force_migration);
  }
  REQUIRE(setenv("ZSYNC_TEST_POLICIES", "stealing", 1) == 0);
  CHECK_THROWS(test::combinations());
  REQUIRE(unsetenv("ZSYNC_TEST_POLICIES") == 0);
}

TEST_CASE("a descriptor that was left open is reported with what it refers to", "[support]") {
  const test::descriptor_map before = test::open_descriptors();
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  const std::string report = test::leaked_descriptors(before, test::open_descriptors());
  CHECK(report.find("/dev/null") != std::string::npos);
  close(fd);
  CHECK(test::leaked_descriptors(before, test::open_descriptors()) == "");
}
