#include <zsync/fiber/control.hpp>
#include <zsync/fiber/ordering.hpp>
#include <zsync/io/engine.hpp>
#include <zsync/io/offload.hpp>
#include <zsync/io/perform.hpp>
#include <zsync/io/poll.hpp>
#include <zsync/sched/error.hpp>
#include <zsync/sched/this_fiber.hpp>
#include <zsync/sched/worker.hpp>

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <mutex>
#include <optional>

namespace zsync::detail {
namespace {

std::error_code from_errno(std::int64_t error) noexcept {
  return {static_cast<int>(error), std::system_category()};
}

// What was done before bytes are sent comes before what follows their receipt: of any bytes, for nobody knows
// which descriptors belong together.
class transmission {
 public:
  explicit transmission(const op& o) noexcept : received_(o.side == direction::in) {
    if (!received_) checker::release(&any);
  }
  ~transmission() {
    if (received_) checker::acquire(&any);
  }
  transmission(const transmission&) = delete;
  transmission& operator=(const transmission&) = delete;

 private:
  static constexpr char any = 0;  // its address
  const bool received_;
};

// Counted with the descriptor while it is used by somebody who is not at home there.
class visit {
 public:
  explicit visit(descriptor& d) noexcept : d_(d) {}
  ~visit() { end(); }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

  bool begin() noexcept { return inside_ || (inside_ = d_.enter()); }
  void end() noexcept {
    if (std::exchange(inside_, false)) d_.leave();
  }

 private:
  descriptor& d_;
  bool inside_ = false;
};

std::error_code too_late(bool by_scope) noexcept {
  return by_scope ? make_error_code(error::deadline_expired) : std::make_error_code(std::errc::timed_out);
}

[[gnu::noinline]] std::error_code conclude_rarer(const descriptor& d, const op& o,
                                                 const std::optional<std::error_code>& why_ended) noexcept {
  if (!o.failed()) {
    // The end of the stream, or readiness, may be what close() has made by shutting the socket down.
    const bool stream_end =
        o.result == 0 && o.size != 0 && o.side == direction::in &&
        (o.kind == op_kind::receive || o.kind == op_kind::read || o.kind == op_kind::receive_message ||
         o.kind == op_kind::receive_from || o.kind == op_kind::call);
    return (stream_end || o.kind == op_kind::ready) && d.closed() ? make_error_code(error::closed)
                                                                  : std::error_code();
  }
  if (d.closed()) return error::closed;
  if (o.result == -ECANCELED && why_ended) return *why_ended;
  return from_errno(-o.result);
}

// What a finished operation means to its caller. `why_ended` is what else ended the wait, if anything did.
inline std::error_code conclude(const descriptor& d, const op& o,
                                const std::optional<std::error_code>& why_ended = {}) noexcept {
  if (o.result > 0) [[likely]]
    return {};
  return conclude_rarer(d, o, why_ended);
}

std::error_code unless_closed(const descriptor& d, std::error_code ec) noexcept {
  return d.closed() ? make_error_code(error::closed) : ec;
}

// Ends a wait that was opened and turned out not to be needed.
void abandon(wait& w) noexcept {
  if (w.party().claim()) {
    w.party().cause = wake_cause::notified;
    schedule(w.party());
  }
  w.suspend();
}

// The kernel may write into the caller's buffer until it says that it is done.
void await_completion(op& o) noexcept {
  while (!o.done) {
    wait w(wait_kind::io_other, o.target, wait::uncancellable | wait::unscoped | wait::anchored);
    o.party = &w.party();
    if (w.open()) w.suspend();
  }
}

// Anew after each wait, in which a fiber may have moved.
engine& engine_of(const fiber_control& me) noexcept {
  return static_cast<engine&>(me.home.load(std::memory_order_relaxed)->io());
}

// At home, without waiting. False: it has to be waited for.
[[gnu::always_inline]] inline bool attempt_at_home(const engine& at, descriptor& d, op& o) noexcept {
  if (!at.worth_trying(o, d.expects(o.side))) return false;
  if (o.attempt()) [[likely]]
    return true;
  d.found_empty(o.side);
  return false;
}

// What follows from it.
[[gnu::always_inline]] inline std::error_code succeed_at_home(const engine& at, descriptor& d, const op& o) {
  const bool events_tell = !at.completes();
  if (!o.failed()) [[likely]]
    d.learn(o, events_tell);
  if (events_tell && d.expects(o.side) != expectation::empty) d.pass_on_local(o.side);
  const std::error_code ec = conclude(d, o);
  if (d.hogs()) [[unlikely]]
    current_worker()->yield();
  return ec;
}

// One call of perform() by a fiber that may have to wait.
class performance {
 public:
  performance(fiber_control& me, descriptor& d, op& o, wait_kind why, clock::rep timeout) noexcept
      : me_(me), d_(d), o_(o), why_(why), timeout_(timeout), visit_(d) {}

  // `local`: at home, where it has been tried in vain.
  [[gnu::noinline]] std::error_code run(bool local);

 private:
  [[gnu::noinline]] bool visit_or_settle(engine& at);
  int arm(engine& home, bool local) noexcept;
  void park(engine& at, bool local);
  void take_completion(engine& at, const wait& w, bool local);
  [[gnu::noinline]] void watch();

  fiber_control& me_;
  descriptor& d_;
  op& o_;
  const wait_kind why_;
  const clock::rep timeout_;
  deadline until_;
  bool timed_ = false;
  visit visit_;
  std::optional<std::error_code> outcome_;  // once it is over
};

std::error_code performance::run(bool local) {
  for (;;) {
    engine& at = engine_of(me_);
    if (!local) local = visit_or_settle(at);
    if (!outcome_) park(at, local);
    if (outcome_) return *outcome_;
    engine& now = engine_of(me_);
    local = d_.is_home(&now);
    if (!local) continue;
    if (d_.closed()) [[unlikely]]
      return error::closed;
    visit_.end();
    if (attempt_at_home(now, d_, o_)) return succeed_at_home(now, d_, o_);
  }
}

// True: the descriptor is at home here from now on.
bool performance::visit_or_settle(engine& at) {
  if (d_.closed() || !visit_.begin()) {
    outcome_ = error::closed;
    return false;
  }
  const bool tried = at.worth_trying(o_, expectation::unknown);
  if (tried && o_.attempt()) {
    d_.pass_on_shared(o_.side);
    outcome_ = conclude(d_, o_);
    visit_.end();
    if (d_.hogs()) [[unlikely]]
      current_worker()->yield();
    return false;
  }
  if (d_.home() != nullptr || !d_.settle(at)) return false;
  visit_.end();
  d_.expect(o_.side, tried ? expectation::empty : expectation::unknown);
  return true;
}

int performance::arm(engine& home, bool local) noexcept {
  if (home.completes()) return 0;
  const unsigned side = 1u << static_cast<unsigned>(o_.side);
  if (local && (d_.armed.load(std::memory_order_relaxed) & side) != 0) return 0;
  const std::lock_guard hold(d_.lock());
  // By now it may have been closed, or evicted: then a visitor finds out when it looks again.
  return d_.is_home(&home) ? home.arm(d_, o_) : 0;
}

// Without an outcome afterwards the operation is to be tried again.
void performance::park(engine& at, bool local) {
  if (!timed_ && timeout_ != descriptor::no_timeout.count()) {
    timed_ = true;
    until_ = deadline::after(clock::duration{timeout_});
  }
  const bool completes = at.completes();
  engine* const source = local || completes ? &at : d_.home();
  if (source == nullptr) return;  // closed, or evicted just now
  // The home belongs to a runtime of another backend, from which no readiness can be had.
  if (!completes && source->completes()) return watch();
  if (const int error = arm(*source, local); error != 0) {
    outcome_ = from_errno(error);
    return;
  }
  const bool bound = local || completes;
  wait w(me_, why_, &d_, wait::cancellable | (bound ? wait::anchored : 0u));
  if (!w.open()) {
    outcome_ = unless_closed(d_, why_ended(w));
    return;
  }
  o_.party = &me_;
  if (local) [[likely]] {
    d_.list_local(o_);
  } else if (!d_.list_shared(o_)) {
    abandon(w);
    outcome_ = error::closed;
    return;
  } else if (!completes && d_.home() != source) {
    // Evicted before this was listed, so no event will come.
    abandon(w);
    d_.unlist_shared(o_);
    return;
  } else if (!completes && o_.attempt()) {
    // Ready since the last attempt; the event may have come before this was listed.
    abandon(w);
    d_.unlist_shared(o_);
    d_.pass_on_shared(o_.side);
    outcome_ = conclude(d_, o_);
    return;
  }
  at.submit(o_);
  w.suspend(until_);
  if (local) [[likely]] {
    d_.unlist_local(o_);
  } else {
    d_.unlist_shared(o_);
  }
  if (completes) return take_completion(at, w, local);
  if (w.cause() != wake_cause::notified) outcome_ = unless_closed(d_, why_ended(w));
}

void performance::take_completion(engine& at, const wait& w, bool local) {
  const bool interrupted = !o_.done;
  const bool notified = w.cause() == wake_cause::notified;
  std::optional<std::error_code> why;
  if (!notified) why = why_ended(w);  // before another wait begins
  if (interrupted) [[unlikely]] {
    at.cancel(o_);
    await_completion(o_);
  }
  const bool told_of_mode = o_.kind == op_kind::accept && o_.data != nullptr;
  if (o_.result == -EINTR || (o_.result == -EAGAIN && !told_of_mode) ||
      (interrupted && notified && o_.result == -ECANCELED && !d_.closed())) {
    o_.done = false;
    return;
  }
  const bool at_home = local && d_.is_home(&engine_of(me_));  // a fiber that may move may have moved
  if (o_.kind == op_kind::call && !o_.failed()) {
    // The kernel has only said that it may not block any more.
    if (at_home) d_.expect(o_.side, expectation::ready);
    o_.done = false;
    return;
  }
  if (at_home && !o_.failed()) d_.learn(o_, false);
  outcome_ = conclude(d_, o_, why);
}

// Waits without the home's help, in a set of its own. close() is heard because it shuts a visited socket
// down, and by a signal of the descriptor's own for what cannot be shut down.
void performance::watch() {
  std::error_code ec;
  pollfd set[2] = {{d_.fd(), static_cast<short>(o_.side == direction::in ? POLLIN : POLLOUT), 0},
                   {-1, POLLIN, 0}};
  if (!d_.is_socket()) set[1].fd = d_.closing_signal();
  const int ready = poll_many(set, until_, ec);
  if (!ec && ready != 0) return;
  if (!ec) ec = std::make_error_code(std::errc::timed_out);
  outcome_ = unless_closed(d_, ec);
}

int milliseconds_left(deadline until) noexcept {
  if (until.is_never()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until.remaining()).count();
  return static_cast<int>(std::min<std::int64_t>(left, std::numeric_limits<int>::max()));
}

// A plain thread blocks in poll(2). close() shuts a socket down, which poll() reports; what cannot be shut
// down is polled together with a signal of the descriptor's own.
std::error_code perform_on_thread(descriptor& d, op& o, clock::rep timeout) {
  visit v(d);
  if (!v.begin()) return error::closed;
  deadline until;
  deadline scope;
  if (timeout != descriptor::no_timeout.count()) until = deadline::after(clock::duration{timeout});
  if (const deadline_frame* frame = innermost_deadline()) scope = frame->until;
  until = tightest(until, scope);
  while (!o.attempt()) {
    pollfd set[2] = {{o.fd, static_cast<short>(o.side == direction::in ? POLLIN : POLLOUT), 0},
                     {-1, POLLIN, 0}};
    if (!d.is_socket()) set[1].fd = d.closing_signal();
    const int n = ::poll(set, 2, milliseconds_left(until));
    if (d.closed()) return error::closed;
    if (n < 0 && errno != EINTR) return from_errno(errno);
    if (n == 0 && until.has_passed()) return too_late(until == scope);
  }
  return conclude(d, o);
}

}  // namespace

std::error_code perform(descriptor& d, op& o, wait_kind why, clock::rep timeout) {
  const transmission told(o);
  o.fd = d.fd();
  o.target = &d;
  fiber_control* const me = current_fiber();
  if (me == nullptr) [[unlikely]]
    return perform_on_thread(d, o, timeout);
  if (me->cancel_requested() && this_fiber::cancellation_requested()) [[unlikely]] {
    give_way_to_others();
    return std::make_error_code(std::errc::operation_canceled);
  }
  const engine& at = engine_of(*me);
  const bool local = d.is_home(&at);
  if (local) [[likely]] {
    if (d.closed()) [[unlikely]]
      return error::closed;
    if (attempt_at_home(at, d, o)) return succeed_at_home(at, d, o);
  }
  return performance(*me, d, o, why, timeout).run(local);
}

std::error_code perform_on_file(int fd, op& o) {
  const transmission told(o);
  o.fd = fd;
  engine* const here = current_engine();
  std::error_code ec;
  if (here == nullptr || !here->completes()) {
    offload(ec, [&o] {
      static_cast<void>(o.attempt());
      errno = o.failed() ? static_cast<int>(-o.result) : 0;
      return o.result;
    });
    return ec;
  }
  for (;;) {
    wait w(wait_kind::io_other, nullptr, wait::cancellable | wait::anchored);
    if (!w.open()) {
      give_way_to_others();
      return why_ended(w);
    }
    o.party = &w.party();
    here->submit(o);
    w.suspend();
    const std::error_code why = why_ended(w);  // before another wait begins
    if (!o.done) {
      here->cancel(o);
      await_completion(o);
    }
    if (!o.failed()) return {};
    // A cancellation interrupts what a thread of the kernel's has begun.
    const bool interrupted = o.result == -EINTR;
    if ((interrupted || o.result == -ECANCELED) && why) return why;
    if (!interrupted) return from_errno(-o.result);
    o.done = false;
  }
}

std::error_code pause(clock::duration d) {
  wait w(wait_kind::sleep, nullptr, wait::cancellable);
  const deadline until = deadline::after(d);
  if (!w.open()) {
    give_way_to_others();
    return why_ended(w);
  }
  const wake_cause cause = w.suspend(until);
  return cause == wake_cause::timed_out && !w.scope_expired() ? std::error_code() : why_ended(w);
}

std::error_code why_ended(const wait& w) noexcept {
  switch (w.cause()) {
    case wake_cause::notified:
      return {};
    case wake_cause::timed_out:
      return too_late(w.scope_expired());
    case wake_cause::cancelled:
      return std::make_error_code(std::errc::operation_canceled);
  }
  return {};
}

void fail(std::error_code ec, const char* what) {
  if (ec == std::errc::operation_canceled) throw cancelled{};
  throw std::system_error(ec, what);
}

}  // namespace zsync::detail
