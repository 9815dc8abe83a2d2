// Cases of a select (channel/select.hpp): a stream or socket from which a read, or to which a write, would
// not wait.
#pragma once

#include <zsync/io/kernel.hpp>
#include <zsync/io/stream.hpp>
#include <zsync/sched/fiber.hpp>
#include <zsync/sched/select_case.hpp>
#include <zsync/sched/spinlock.hpp>

#include <poll.h>

#include <concepts>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <utility>

namespace zsync {

namespace detail {

// While the select sleeps, a fiber of its own waits for the stream, in whatever way the engine has, and wins
// the select's wait for this case, unless the case was withdrawn meanwhile. It has ended before the case
// does.
template <class Stream, class F>
class ready_case final : public select_case {
 public:
  ready_case(Stream& watched, short events, F handler)
      : stream_(watched), events_(events), handler_(std::move(handler)) {}

  bool attempt() override {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    pollfd look{stream_.native_handle(), events_, 0};
    return look.fd < 0 || kernel::poll(&look, 1, 0) != 0;  // what fails would not wait either
  }

  bool enlist(waiter& me) noexcept override {
    enlisted_ = true;
    try {
      helper_ = fiber<>(spawn_options{.name = "select on a stream"}, [this, &me] {
        std::error_code ec;
        do {
          wait_ready(stream_.stream_descriptor(), events_ == POLLIN ? direction::in : direction::out, ec);
        } while (ec == std::errc::timed_out);  // the stream's own timeout is none of the select's
        if (ec != std::errc::operation_canceled) win(me);
      });
      return true;
    } catch (...) {
      enlisted_ = false;
      failure_ = std::current_exception();
      return false;
    }
  }

  void withdraw(waiter& /*me*/) noexcept override {
    {
      const std::lock_guard hold(lock_);
      enlisted_ = false;
    }
    helper_.cancel();
  }
  void clean_up() noexcept override { helper_ = {}; }  // cancels it, and waits for its end
  void run() override { std::invoke(handler_); }
  // On null: a dump would look into the descriptor, which the select does not keep open. The helper's own
  // wait does, and is told of beside it.
  wait_subject subject() const noexcept override {
    return {events_ == POLLIN ? wait_kind::io_read : wait_kind::io_write, nullptr};
  }

 private:
  void win(waiter& me) noexcept {
    std::unique_lock hold(lock_);
    if (!std::exchange(enlisted_, false) || !me.claim()) return;
    parker& woken = *me.party;
    hold.unlock();
    schedule(woken);
  }

  Stream& stream_;
  const short events_;
  F handler_;
  std::exception_ptr failure_;  // what kept the helper from being spawned
  spinlock lock_;
  bool enlisted_ = false;  // lock_; the wait may be claimed for this case
  fiber<> helper_;
};

}  // namespace detail

// Fires when a read of the stream would not wait: bytes, its end, or an error. Likewise an accept() of a
// listener, the receipt of a datagram, the next() of a signal_set, unless somebody else takes it first.
// handler(). In fibers only; elsewhere the select throws std::system_error(operation_not_permitted) when it
// has to wait. What a buffered_reader has read ahead is not seen.
template <class Stream, class F>
requires(std::derived_from<Stream, descriptor_owner> && !std::same_as<Stream, write_half>)
    [[nodiscard]] auto on_readable(Stream& stream, F handler) {
  return detail::ready_case<Stream, F>(stream, POLLIN, std::move(handler));
}

// Likewise, when a write would not wait.
template <class Stream, class F>
requires requires(Stream& s, std::error_code& ec) { s.wait_writable(ec); }
[[nodiscard]] auto on_writable(Stream& stream, F handler) {
  return detail::ready_case<Stream, F>(stream, POLLOUT, std::move(handler));
}

}  // namespace zsync
