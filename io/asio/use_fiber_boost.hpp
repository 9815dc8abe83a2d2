// zsync::use_fiber for the Asio of Boost, 1.79 or newer. All that use_fiber.hpp says of asio:: holds here of
// boost::asio::; errors are thrown as boost::system::system_error.
#pragma once

#include <zsync/io/asio/fiber_operation.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

namespace zsync::detail {

struct boost_asio {
  using error_code = boost::system::error_code;
  using system_error = boost::system::system_error;
  using executor = boost::asio::any_io_executor;
  using cancellation_signal = boost::asio::cancellation_signal;
  using cancellation_slot = boost::asio::cancellation_slot;
  template <class Executor>
  using strand = boost::asio::strand<Executor>;
  static constexpr auto everything = boost::asio::cancellation_type::all;
  static error_code aborted() noexcept { return boost::asio::error::operation_aborted; }
  template <class F>
  static void post(const executor& where, F what) {
    boost::asio::post(where, std::move(what));
  }
};

}  // namespace zsync::detail

template <class... Args, class Executor>
struct boost::asio::associated_executor<zsync::detail::asio_handler<zsync::detail::boost_asio, Args...>,
                                        Executor> {
  using type = boost::asio::any_io_executor;

  static type get(const zsync::detail::asio_handler<zsync::detail::boost_asio, Args...>& handler,
                  const Executor& of_operation) noexcept {
    return handler.executor_beside(of_operation);
  }
};

template <class Return, class... Args>
class boost::asio::async_result<zsync::use_fiber_t, Return(Args...)> {
 public:
  using return_type = zsync::detail::asio_result_of<zsync::detail::boost_asio, Args...>;

  template <class Initiation, class... Given>
  static return_type initiate(Initiation&& initiation, zsync::use_fiber_t, Given&&... given) {
    return zsync::detail::run_asio_operation<zsync::detail::boost_asio, Args...>(
        std::forward<Initiation>(initiation), std::forward<Given>(given)...);
  }
};
