// One of the things that a select waits for at once. Whatever can be waited for provides cases of its own:
// channels and futures in channel/, sockets in io/. The select itself (channel/select.hpp) knows only this.
//
// A select first tries each case. If none can go on, it opens one wait, enlists each case with it, and
// sleeps; the winner of that wait, by waiter::claim(), tells which case it is. Then it withdraws all of them,
// lets them clean up, and completes that one.
#pragma once

#include <zsync/sched/wait.hpp>
#include <zsync/timer/deadline.hpp>

#include <cstdint>
#include <optional>

namespace zsync::detail {

// What a wait is for: as of a wait of its own.
struct wait_subject {
  wait_kind why = wait_kind::select;
  const void* on = nullptr;
};

class select_case {
 public:
  // What can make it fire: source, one of the calls below; timer, that `until` has come; fallback, that no
  // other case can go on.
  enum class role : std::uint8_t { source, timer, fallback };

  select_case(const select_case&) = delete;
  select_case& operator=(const select_case&) = delete;

  // Is attempt() worth a call? A guess, taken without a lock.
  [[nodiscard]] virtual bool looks_ready() const noexcept { return true; }

  // Does it, if that needs no waiting. True: this case has fired. May throw; then nothing has happened.
  virtual bool attempt() { return false; }

  // The wait is open. Puts `place` (whose slot is the case's to set) where the event's owner will claim it,
  // and returns true; or finds that attempt() could go on now, or would throw, and returns false. Must not
  // wait. Must not mistake another case of the same wait, which has the same waiter::party, for its
  // counterpart.
  virtual bool enlist(waiter& /*place*/) noexcept { return false; }

  // The wait is over: takes `place` out if it is still there. Must not wait: cases that are still enlisted
  // would take that wait for the select's.
  virtual void withdraw(waiter& /*place*/) noexcept {}

  // All cases are withdrawn. Ends what enlist() began; may wait, uncancellably.
  virtual void clean_up() noexcept {}

  // The wait ended by this case, which is withdrawn already. False: it was told to try again.
  virtual bool complete() { return true; }

  // Calls the user's handler.
  virtual void run() = 0;

  // What is waited for, of a source: for dumps, by the select's worker while the select sleeps.
  [[nodiscard]] virtual wait_subject subject() const noexcept { return {}; }

 protected:
  explicit select_case(role what = role::source, deadline when = deadline::never()) noexcept
      : part(what), until(when) {}
  ~select_case() = default;

 public:
  const role part;
  const deadline until;         // of a timer
  std::optional<waiter> place;  // the select's
};

}  // namespace zsync::detail
