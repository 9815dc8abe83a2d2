// Asio's asynchronous operations, for fibers: `socket.async_read_some(buffer, zsync::use_fiber)` waits, and
// returns what was read. Needs Asio 1.22 or newer; for the Asio of Boost, see use_fiber_boost.hpp.
//
// The calling fiber sleeps until the operation is complete. The result is what the completion handler would
// have been given: nothing, a value, or a tuple of several; an error is thrown as asio::system_error, or left
// in `ec` by asio::redirect_error(zsync::use_fiber, ec). Somebody else has to run the io_context: a thread of
// its own, or the thread that drives a zsync::loop as well. On a plain thread it blocks.
//
// A cancellation point, and it obeys deadline scopes: the operation is then cancelled through its
// cancellation slot, and awaited, so that its buffers are free on return. If it was through by then, its
// result is returned; otherwise `zsync::cancelled` or std::system_error(timed_out) is thrown, and with
// redirect_error `ec` is asio::error::operation_aborted. What cannot be cancelled by a slot goes on to its
// end, and so does what names an executor by asio::bind_executor, because it is not known where its slot may
// be used. If the io_context ends first, it is asio::error::operation_aborted.
//
// What it uses is used by the calling fiber and by the io_context's threads, one at a time; beside that,
// Asio's rules hold: one socket is not for two threads at once.
#pragma once

#include <zsync/io/asio/fiber_operation.hpp>

#include <asio/any_io_executor.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/strand.hpp>
#include <asio/system_error.hpp>

namespace zsync::detail {

struct standalone_asio {
  using error_code = asio::error_code;
  using system_error = asio::system_error;
  using executor = asio::any_io_executor;
  using cancellation_signal = asio::cancellation_signal;
  using cancellation_slot = asio::cancellation_slot;
  template <class Executor>
  using strand = asio::strand<Executor>;
  static constexpr auto everything = asio::cancellation_type::all;
  static error_code aborted() noexcept { return asio::error::operation_aborted; }
  template <class F>
  static void post(const executor& where, F what) {
    asio::post(where, std::move(what));
  }
};

}  // namespace zsync::detail

template <class... Args, class Executor>
struct asio::associated_executor<zsync::detail::asio_handler<zsync::detail::standalone_asio, Args...>,
                                 Executor> {
  using type = asio::any_io_executor;

  static type get(const zsync::detail::asio_handler<zsync::detail::standalone_asio, Args...>& handler,
                  const Executor& of_operation) noexcept {
    return handler.executor_beside(of_operation);
  }
};

template <class Return, class... Args>
class asio::async_result<zsync::use_fiber_t, Return(Args...)> {
 public:
  using return_type = zsync::detail::asio_result_of<zsync::detail::standalone_asio, Args...>;

  template <class Initiation, class... Given>
  static return_type initiate(Initiation&& initiation, zsync::use_fiber_t, Given&&... given) {
    return zsync::detail::run_asio_operation<zsync::detail::standalone_asio, Args...>(
        std::forward<Initiation>(initiation), std::forward<Given>(given)...);
  }
};
