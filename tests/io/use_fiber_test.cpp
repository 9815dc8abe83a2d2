// zsync::use_fiber with the Asio that stands alone.
#if __has_include(<asio/io_context.hpp>)
#define ASIO_STANDALONE
#include <zsync/io/asio/use_fiber.hpp>

#include <asio/bind_executor.hpp>
#include <asio/buffer.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>

#include <system_error>

namespace {
namespace net = asio;
using failure = std::system_error;
using error_code = std::error_code;
}  // namespace

#include "use_fiber_cases.hpp"

TEST_CASE("a fiber waits for operations of Asio, and has their results or is cancelled", "[asio]") {
  check_use_fiber();
}
#endif
