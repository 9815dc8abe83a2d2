// Cases of a select: receiving from a channel, sending to one.
#pragma once

#include <zsync/channel/channel.hpp>
#include <zsync/sched/select_case.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace zsync {

namespace detail {

template <class T, class F>
class receive_case final : public select_case {
 public:
  receive_case(channel_state<T>& from, F handler) : from_(from), handler_(std::move(handler)) {}

  bool looks_ready() const noexcept override { return from_.may_receive(); }
  bool attempt() override { return from_.try_receive(box_) != channel_status::empty; }
  bool enlist(waiter& me) noexcept override {
    box_.result = handover::retry;
    me.slot = &box_;
    return from_.enlist_receiver(me);
  }
  void withdraw(waiter& me) noexcept override { from_.withdraw_receiver(me); }
  bool complete() override { return box_.result != handover::retry; }
  void run() override { std::invoke(handler_, std::move(message_)); }
  wait_subject subject() const noexcept override {
    return {wait_kind::channel_receive, static_cast<const channel_figures*>(&from_)};
  }

 private:
  channel_state<T>& from_;
  std::optional<T> message_;
  receive_slot<T> box_{&message_};
  F handler_;
};

template <class T, class F>
class send_case final : public select_case {
 public:
  send_case(channel_state<T>& to, T& message, F handler)
      : to_(to), offer_{std::addressof(message)}, handler_(std::move(handler)) {}
  send_case(channel_state<T>& to, const T& message, F handler)
      : to_(to), copy_(message), offer_{std::addressof(*copy_)}, handler_(std::move(handler)) {}

  bool looks_ready() const noexcept override { return to_.may_send(); }
  bool attempt() override {
    const channel_status status = to_.try_send(*offer_.message);
    sent_ = status == channel_status::success;
    return status != channel_status::full;
  }
  bool enlist(waiter& me) noexcept override {
    offer_.result = handover::retry;
    me.slot = &offer_;
    return to_.enlist_sender(me);
  }
  void withdraw(waiter& me) noexcept override { to_.withdraw_sender(me); }
  bool complete() override {
    sent_ = offer_.result == handover::done;
    return offer_.result != handover::retry;
  }
  void run() override {
    if constexpr (std::is_invocable_v<F&, bool>) {
      std::invoke(handler_, sent_);
    } else if (sent_) {
      std::invoke(handler_);
    }
  }
  wait_subject subject() const noexcept override {
    return {wait_kind::channel_send, static_cast<const channel_figures*>(&to_)};
  }

 private:
  channel_state<T>& to_;
  std::optional<T> copy_;
  send_slot<T> offer_;
  bool sent_ = false;
  F handler_;
};

}  // namespace detail

// Receives; handler(std::optional<T>), nullopt: closed and drained.
template <class T, class F>
[[nodiscard]] auto on_recv(const receiver<T>& from, F handler) {
  static_assert(std::is_invocable_v<F&, std::optional<T>>,
                "on_recv's handler takes a std::optional of the message: nullopt when the channel has ended");
  return detail::receive_case<T, F>(detail::channel_access::state(from), std::move(handler));
}

// Sends; handler(), or handler(bool sent). When the channel is closed the case fires with `false`, and a
// handler that takes no argument is not called. A message that was not sent is untouched; an lvalue is copied
// beforehand.
template <class T, class F>
[[nodiscard]] auto on_send(const sender<T>& to, std::type_identity_t<T>&& message, F handler) {
  return detail::send_case<T, F>(detail::channel_access::state(to), message, std::move(handler));
}
template <class T, class F>
[[nodiscard]] auto on_send(const sender<T>& to, const std::type_identity_t<T>& message, F handler) {
  return detail::send_case<T, F>(detail::channel_access::state(to), message, std::move(handler));
}

}  // namespace zsync
