// Descriptors whose home goes away while others use them.
#include "io/connections.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

using namespace std::chrono_literals;
namespace test = zsync::test;

// It relied on events that came to the other runtime.
TEST_CASE("whoever waits for a stream goes on when the runtime that watched it ends", "[io]") {
  test::matrix([](const zsync::runtime_options& options) {
    auto home = std::make_unique<zsync::runtime>(options);
    zsync::runtime other(options);
    auto [a, b] = home->block_on([] { return test::connect_pair(); });
    home->block_on([&a = a] {  // makes it the home of this end
      const zsync::deadline_scope soon(1ms);
      std::array<char, 8> buffer{};
      std::error_code ec;
      a.read(buffer, ec);
      REQUIRE(ec == std::errc::timed_out);
    });
    std::atomic<bool> begun{false};
    auto visitor = other.spawn([&, &a = a] {
      const zsync::deadline_scope enough(5s);
      begun = true;
      std::array<char, 8> buffer{};
      std::error_code ec;
      return a.read(buffer, ec);
    });
    while (!begun) std::this_thread::yield();
    std::this_thread::sleep_for(2ms);  // so that it waits
    home.reset();
    b.write_all("news");
    CHECK(visitor.join() == 4);
  });
}
