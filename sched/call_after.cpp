#include <zsync/sched/call_after.hpp>

#include <zsync/sched/delayed_calls.hpp>
#include <zsync/sched/fork.hpp>
#include <zsync/sched/scheduler.hpp>

#include <cstdio>
#include <mutex>
#include <system_error>

namespace zsync::detail {

void delayed_call::start(task& call, spawn_site site) {
  check_not_forked();
  worker* const here = current_worker();
  const bool ours = here != nullptr && (site.where == nullptr || &here->owner() == site.where);
  if (!ours && site.where == nullptr) {
    call.release();
    call.release();
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "call_after() outside any runtime");
  }
  std::ignore = call.detach();
  checker::release(static_cast<fiber_control*>(&call));  // what launches it then is nobody
  call_ = &call;
  site_ = {ours ? &here->owner() : site.where, site.from};
  home_ = (ours ? *here : site_.where->next_for_call()).delayed();
  site_.where->note_delayed();
  retain();  // the worker's
  if (ours) {
    home_->arm(*this);
  } else {
    home_->mail(*this);
  }
}

bool delayed_call::cancel() noexcept {
  if (!leave_armed(state::cancelled)) return false;
  if (home_ == nullptr) return true;  // it has not started
  task* const call = std::exchange(call_, nullptr);
  retain();  // the closure may own our handle
  if (worker* const here = current_worker(); here != nullptr && here->delayed() == home_) {
    home_->disarm(*this);
  } else {
    home_->mail(*this);
  }
  // Here, where the caller can bear what the closure's destructor does.
  call->release();
  call->release();
  release();
  return true;
}

void delayed_call::expire(timer_node& node) noexcept {
  auto& self = static_cast<delayed_call&>(node);
  if (!self.leave_armed(state::fired)) return;  // the canceller's mail is on its way
  self.home_->run(self);
}

void delayed_calls::arm(delayed_call& call) noexcept {
  worker& w = *home_;
  w.timers().add(call, call.when_);
  call.listed_ = true;
  call.next_ = list_;
  if (list_ != nullptr) list_->previous_ = &call;
  list_ = &call;
  if (!w.owner().stopping()) return;
  if (call.leave_armed(delayed_call::state::cancelled)) {
    run(call);
  } else {
    disarm(call);
  }
}

void delayed_calls::unlist(delayed_call& call) noexcept {
  if (!std::exchange(call.listed_, false)) return;
  home_->timers().cancel(call);
  (call.previous_ == nullptr ? list_ : call.previous_->next_) = call.next_;
  if (call.next_ != nullptr) call.next_->previous_ = call.previous_;
}

void delayed_calls::disarm(delayed_call& call) noexcept {
  unlist(call);
  if (std::exchange(call.done_, true)) return;
  home_->owner().note_delayed_done();
  call.release();
}

void delayed_calls::run(delayed_call& call) noexcept {
  unlist(call);
  task* const newborn = std::exchange(call.call_, nullptr);
  newborn->retain();
  try {
    launch(*newborn, {}, call.site_);
    newborn->release();  // the handle's part: there is none
    newborn->release();
  } catch (...) {
    std::fputs("zsync: a call_after() could not run: there is no memory for a fiber\n", stderr);
    const outside_of_fibers here;
    newborn->release();
  }
  disarm(call);  // once the fiber is counted
}

delayed_call* delayed_calls::next_mail() noexcept {
  const std::lock_guard hold(lock_);
  delayed_call* const call = mail_;
  if (call == nullptr) return nullptr;
  mail_ = call->next_in_mail_;
  call->mailed_ = false;
  return call;
}

void delayed_calls::attend() noexcept {
  while (delayed_call* const call = next_mail()) {
    if (call->pending() && !call->listed_) {
      arm(*call);
    } else if (!call->pending()) {
      disarm(*call);
    }
    call->release();
  }
  while (home_->owner().stopping() && list_ != nullptr) {
    delayed_call& call = *list_;
    if (call.leave_armed(delayed_call::state::cancelled)) {
      run(call);
    } else {
      unlist(call);  // cancelled by another thread, whose mail comes
    }
  }
}

void delayed_calls::mail(delayed_call& call) noexcept {
  const std::lock_guard hold(lock_);
  if (home_ == nullptr || std::exchange(call.mailed_, true)) return;
  call.retain();
  call.next_in_mail_ = mail_;
  mail_ = &call;
  home_->request_attention();
}

void delayed_calls::close() noexcept {
  {
    const std::lock_guard hold(lock_);
    home_ = nullptr;
  }
  while (delayed_call* const call = next_mail()) call->release();
}

}  // namespace zsync::detail
