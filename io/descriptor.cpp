#include <zsync/fiber/ordering.hpp>
#include <zsync/io/borrowed.hpp>
#include <zsync/io/descriptor.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/kernel.hpp>
#include <zsync/sched/wait.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <new>

namespace zsync::detail {
namespace {

using guard = std::lock_guard<spinlock>;

void return_fd(int fd) noexcept {
  const checker::unseen writing;  // the number: its users are gone, as the counts say
  // Not repeated at EINTR: the number is free by then.
  if (fd >= 0) kernel::close(fd);
}

void schedule_all(op_list& woken) noexcept {
  while (op* o = woken.front()) {
    woken.remove(*o);
    schedule(*o->party);  // from here on `o` may be gone
  }
}

op* pop(op_list& list) noexcept {
  op* o = list.front();
  if (o == nullptr) return nullptr;
  list.remove(*o);
  o->listed.store(op::nowhere, std::memory_order_relaxed);
  return o;
}

}  // namespace

descriptor_ptr descriptor_ptr::adopt(int fd, descriptor_kind kind) {
  auto* d = new (std::nothrow) descriptor(fd, kind);
  if (d == nullptr) {
    return_fd(fd);
    throw std::bad_alloc();
  }
  if (no_sigpipe == 0 && d->is_socket()) silence(fd);
  return descriptor_ptr(d);
}

descriptor_ptr descriptor_ptr::borrow(int fd, descriptor_kind kind) {
  if (engine* const here = current_engine()) {
    if (descriptor* const known = here->resident(fd);
        known != nullptr && !known->closed() && known->retain_if_alive()) {
      return descriptor_ptr(known);
    }
  }
  auto* const d = new descriptor(fd, kind, true);
  list_borrowed(*d);
  return descriptor_ptr(d);
}

// ---- visitors and lists ----

bool descriptor::settle(engine& here) {
  guard g(lock_);
  if (closed_.load(std::memory_order_relaxed) || home_.load(std::memory_order_relaxed) != nullptr)
    return false;
  here.move_in(*this);
  armed.store(0, std::memory_order_relaxed);
  home_.store(&here, std::memory_order_release);
  return true;
}

bool descriptor::enter() noexcept {
  guard g(lock_);
  if (closed_.load(std::memory_order_relaxed)) return false;
  ++visitors_;
  return true;
}

void descriptor::leave() noexcept {
  int fd = -1;
  {
    guard g(lock_);
    --visitors_;
    fd = take_fd();
  }
  return_fd(fd);
}

int descriptor::take_fd() noexcept {
  if (!closed_.load(std::memory_order_relaxed) || !let_go_ || visitors_ != 0) return -1;
  while (const waiter* const w = quiet_.claim_front()) schedule(*w->party);
  if (returned_) return -1;
  returned_ = true;
  return fd_;
}

void descriptor::list_local(op& o) noexcept {
  streak_.store(0, std::memory_order_relaxed);
  o.listed.store(op::local, std::memory_order_relaxed);
  local_[static_cast<int>(o.side)].push_back(o);
}

void descriptor::unlist_local(op& o) noexcept {
  if (o.listed.load(std::memory_order_relaxed) != op::local) return;
  o.listed.store(op::nowhere, std::memory_order_relaxed);
  local_[static_cast<int>(o.side)].remove(o);
}

bool descriptor::list_shared(op& o) noexcept {
  guard g(lock_);
  if (closed_.load(std::memory_order_relaxed)) return false;
  o.listed.store(op::shared, std::memory_order_relaxed);
  shared_[static_cast<int>(o.side)].push_back(o);
  waiting_visitors_.fetch_add(1, std::memory_order_seq_cst);
  return true;
}

void descriptor::unlist_shared(op& o) noexcept {
  guard g(lock_);
  if (o.listed.load(std::memory_order_relaxed) != op::shared) return;
  o.listed.store(op::nowhere, std::memory_order_relaxed);
  shared_[static_cast<int>(o.side)].remove(o);
  waiting_visitors_.fetch_sub(1, std::memory_order_relaxed);
}

// ---- readiness ----

// After a success from which nothing can be concluded. Bursts of datagrams and of connections are taken
// faster by direct calls than by one completion each, and a call in vain costs something; so as long as
// guesses come out well there are more of them, and after a wrong one there is none for a while.
expectation descriptor::guess() noexcept {
  const bool was_guessed = expects(direction::in) == expectation::ready;
  if (luck_ < 0 || (was_guessed && luck_ < luck_max)) ++luck_;
  return luck_ >= 0 ? expectation::ready : expectation::unknown;
}

void descriptor::learn(const op& o, bool events_tell) noexcept {
  answers_ = o.side == direction::in;
  if (!answers_) return expect(direction::out, expectation::ready);
  const bool reads = o.kind == op_kind::receive || o.kind == op_kind::read;
  const bool looked = o.kind == op_kind::receive && (o.flags & MSG_PEEK) != 0;  // and left it all there
  const bool emptied = reads && !looked && o.result > 0 && static_cast<std::size_t>(o.result) < o.size;
  expectation next = expectation::ready;
  if (emptied && kind_ == descriptor_kind::stream_socket && !ended_) {
    next = expectation::empty;
  } else if (!events_tell && (emptied || !reads)) {
    next = guess();
  }
  expect(direction::in, next);
}

void descriptor::became_ready(direction side) noexcept {
  expect(side, expectation::ready);
  pass_on_local(side);
  // Seen in time: a visitor tries again after it has listed itself, and that attempt came either before the
  // event, and thus the listing too, or it succeeds.
  pass_on_shared(side);
}

void descriptor::wake_local(direction side) noexcept {
  while (op* o = pop(local_[static_cast<int>(side)])) {
    if (!claim(*o)) continue;
    resume_anywhere(*o);
    return;
  }
}

void descriptor::wake_shared(direction side) noexcept {
  op* woken = nullptr;
  {
    guard g(lock_);
    while (op* o = pop(shared_[static_cast<int>(side)])) {
      waiting_visitors_.fetch_sub(1, std::memory_order_relaxed);
      if (!claim(*o)) continue;
      woken = o;
      break;
    }
  }
  if (woken != nullptr) schedule(*woken->party);
}

// ---- closing ----

void descriptor::claim_shared(op_list& woken) noexcept {
  for (op_list& list : shared_) {
    while (op* o = pop(list)) {
      waiting_visitors_.fetch_sub(1, std::memory_order_relaxed);
      if (claim(*o)) woken.push_back(*o);
    }
  }
}

void descriptor::shut_down() noexcept {
  if (is_socket() && !borrowed_) kernel::shutdown(fd_, SHUT_RDWR);
}

void descriptor::close() noexcept {
  engine* const here = current_engine();
  op_list woken;
  bool used = false;
  bool used_locally = false;
  {
    guard g(lock_);
    if (closed_.load(std::memory_order_relaxed)) return;
    closed_.store(true, std::memory_order_release);
    used = visitors_ != 0;
    ++visitors_;  // the closer itself, so that the number stays valid until it has been shut down
    claim_shared(woken);
    closing_signal_.raise();
    engine* const home = home_.load(std::memory_order_relaxed);
    if (home == nullptr) {
      let_go_ = true;
    } else if (home == here) {
      used_locally = let_go(*here, woken);
    } else {
      references_.fetch_add(1, std::memory_order_relaxed);
      send_home(*home, please_close);
    }
  }
  if (used || used_locally) shut_down();
  schedule_all(woken);
  leave();
}

void descriptor::await_let_go() noexcept {
  wait w(wait_kind::io_other, this, wait::uncancellable | wait::unscoped);
  waiter me(w);
  {
    guard g(lock_);
    if (let_go_ && visitors_ == 0) return;
    if (!w.open()) return;
    quiet_.push_back(me);
  }
  w.suspend();
}

// Under the lock, on the home's thread. True: somebody was using it.
bool descriptor::let_go(engine& here, op_list& woken) noexcept {
  bool used = false;
  for (op_list& list : local_) {
    while (op* o = pop(list)) {
      used = true;
      if (claim(*o)) woken.push_back(*o);
    }
  }
  here.withdraw(*this);
  here.move_out(*this);
  home_.store(nullptr, std::memory_order_release);
  let_go_ = true;
  return used;
}

void descriptor::send_home(engine& home, std::uint8_t what) noexcept {
  mail_ = what;
  home.post(*this, what == please_close);
}

void descriptor::receive_mail(engine& here) noexcept {
  op_list woken;
  bool used = false;
  bool end_now = false;
  {
    guard g(lock_);
    end_now = mail_ == please_end;
    mail_ = nothing;
    if (home_.load(std::memory_order_relaxed) == &here) {
      // Unless somebody else has borrowed the same number since: the registration is his now.
      if (end_now && borrowed_ && here.resident(fd_) == this) here.forget(*this);
      used = let_go(here, woken);
    }
    ++visitors_;  // keeps the number valid until it has been shut down
  }
  if (end_now) {
    delete this;
    return;
  }
  if (used) shut_down();
  schedule_all(woken);
  leave();
  release();
}

void descriptor::evict(engine& here) noexcept {
  op_list woken;
  int fd = -1;
  {
    guard g(lock_);
    if (home_.load(std::memory_order_relaxed) != &here) return;
    claim_shared(woken);
    home_.store(nullptr, std::memory_order_release);
    armed.store(0, std::memory_order_relaxed);
    let_go_ = closed_.load(std::memory_order_relaxed);
    fd = take_fd();
  }
  return_fd(fd);
  schedule_all(woken);
}

// The last reference is gone, so nobody uses it. The object itself ends on its home's thread, because an
// event may have been fetched there that still names it.
void descriptor::end() noexcept {
  if (borrowed_) unlist_borrowed(*this);
  engine* const here = current_engine();
  bool elsewhere = false;
  int fd = -1;
  {
    guard g(lock_);
    if (!returned_) {
      returned_ = true;
      fd = fd_;
    }
    engine* const home = home_.load(std::memory_order_relaxed);
    elsewhere = home != nullptr && home != here;
    if (elsewhere) {
      send_home(*home, please_end);
    } else if (home != nullptr) {
      if (borrowed_ && home->resident(fd_) == this) home->forget(*this);
      home->move_out(*this);
    }
  }
  return_fd(fd);
  if (elsewhere) return;
  delete this;
}

int descriptor::give_up() noexcept {
  guard g(lock_);
  if (closed_.load(std::memory_order_relaxed)) return -1;
  closed_.store(true, std::memory_order_release);
  returned_ = true;
  engine* const home = home_.load(std::memory_order_relaxed);
  if (home == nullptr) return fd_;
  home->forget(*this);
  if (home == current_engine()) {
    op_list none;
    let_go(*home, none);
    schedule_all(none);
  } else {
    references_.fetch_add(1, std::memory_order_relaxed);
    send_home(*home, please_close);
  }
  return fd_;
}

int descriptor::closing_signal() noexcept {
  guard g(lock_);
  return closing_signal_.open(closed_.load(std::memory_order_relaxed));
}

}  // namespace zsync::detail
