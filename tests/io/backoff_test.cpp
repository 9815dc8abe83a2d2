// A listener that has run out of descriptors pauses before it tries again: no longer than it has to.
#include "io/connections.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <zsync/zsync.hpp>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <vector>

using namespace std::chrono_literals;
namespace test = zsync::test;

namespace {

// Fails to accept until the pause is tens of milliseconds, and then accepts ten connections; the shortest
// time that one of these took.
std::chrono::nanoseconds quickest_after_failures() {
  auto listener = test::listen_anywhere();
  std::vector<zsync::tcp_stream> clients;
  for (int i = 0; i < 11; ++i) clients.push_back(zsync::tcp_stream::connect(listener.local_address()));
  std::vector<int> fillers;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) fillers.push_back(fd);
  std::error_code ec;
  for (int i = 0; i < 6; ++i) {
    listener.accept(ec);
    if (ec != std::errc::too_many_files_open) throw std::runtime_error("accepted");
  }
  for (const int fd : fillers) ::close(fd);
  listener.accept();  // after the last pause
  auto quickest = std::chrono::nanoseconds::max();
  for (int i = 0; i < 10; ++i) {
    const auto begin = zsync::clock::now();
    listener.accept();
    quickest = std::min(quickest, zsync::clock::now() - begin);
  }
  return quickest;
}

}  // namespace

TEST_CASE("a listener that has accepted again does not pause any more", "[io]") {
  test::matrix({.workers = false}, [](const zsync::runtime_options& options) {
    test::child_options limited;
    limited.descriptors_max = 64;
    const auto result = test::run_in_child(
        [&] {
          zsync::run([] { std::cout << (quickest_after_failures() < 30ms ? "at once" : "paused"); }, options);
          std::cout << std::flush;
        },
        limited);
    INFO(result.err);
    CHECK(result.out == "at once");
  });
}
