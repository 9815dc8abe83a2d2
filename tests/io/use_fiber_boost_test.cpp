// zsync::use_fiber with the Asio of Boost.
#if __has_include(<boost/asio/io_context.hpp>)
#include <zsync/io/asio/use_fiber_boost.hpp>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace {
namespace net = boost::asio;
using failure = boost::system::system_error;
using error_code = boost::system::error_code;
}  // namespace

#include "use_fiber_cases.hpp"

TEST_CASE("a fiber waits for operations of the Asio of Boost, and has their results or is cancelled",
          "[asio]") {
  check_use_fiber();
}
#endif
