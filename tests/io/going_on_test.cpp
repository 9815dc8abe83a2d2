#include "support/going_on.hpp"
#include "io/connections.hpp"
#include "support/catch.hpp"
#include "support/matrix.hpp"

#include <zsync/zsync.hpp>

#include <array>
#include <cstddef>
#include <system_error>

namespace test = zsync::test;

TEST_CASE("a cancelled fiber that goes on reading and accepting leaves turns to others", "[cancel]") {
  test::matrix(test::axes{.policies = true}, [](const zsync::runtime_options& options) {
    zsync::run(
        [] {
          auto listener = zsync::tcp_listener::bind("127.0.0.1", 0);
          std::error_code ec;
          test::go_on_beside_others([&] {
            (void)listener.accept(ec);
            CHECK(ec == std::errc::operation_canceled);
          });
          auto near = zsync::tcp_stream::connect(listener.local_address());
          auto far = listener.accept();
          std::array<std::byte, 16> room;
          test::go_on_beside_others([&] { (void)far.read(room, ec); });
          CHECK(ec == std::errc::operation_canceled);
          test::go_on_beside_others([&] { (void)far.read(room); });
        },
        options);
  });
}
