// Cases of a select: receiving from a broadcast or a watch.
#pragma once

#include <zsync/channel/broadcast.hpp>
#include <zsync/channel/watch.hpp>
#include <zsync/sched/select_case.hpp>

#include <functional>
#include <optional>
#include <utility>

namespace zsync {

namespace detail {

template <class T, class F>
class broadcast_case final : public select_case {
 public:
  broadcast_case(broadcast_reader<T>& from, F handler) : from_(from), handler_(std::move(handler)) {}

  bool attempt() override { return from_.try_receive(message_) != channel_status::empty; }
  bool enlist(waiter& me) noexcept override { return from_.enlist(me); }
  void withdraw(waiter& me) noexcept override { from_.withdraw(me); }
  bool complete() override { return attempt(); }  // woken means: look for yourself
  void run() override { std::invoke(handler_, std::move(message_)); }
  wait_subject subject() const noexcept override { return {wait_kind::broadcast_receive, &from_.state()}; }

 private:
  broadcast_reader<T>& from_;
  std::optional<T> message_;
  F handler_;
};

}  // namespace detail

// As on_recv of a channel's receiver.
template <class T, class F>
[[nodiscard]] auto on_recv(broadcast_receiver<T>& from, F handler) {
  static_assert(std::is_invocable_v<F&, std::optional<T>>,
                "on_recv's handler takes a std::optional of the message: nullopt when the channel has ended");
  return detail::broadcast_case<T, F>(detail::broadcast_access::reader(from), std::move(handler));
}
template <class T, class F>
[[nodiscard]] auto on_recv(watch_receiver<T>& from, F handler) {
  static_assert(std::is_invocable_v<F&, std::optional<T>>,
                "on_recv's handler takes a std::optional of the message: nullopt when the channel has ended");
  return detail::broadcast_case<T, F>(detail::broadcast_access::reader(from), std::move(handler));
}

}  // namespace zsync
