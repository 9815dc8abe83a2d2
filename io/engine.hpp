// What carries out the operations of one worker's fibers: io_uring, or readiness from epoll or kqueue.
#pragma once

#include <zsync/io/descriptor.hpp>
#include <zsync/io/op.hpp>
#include <zsync/io/simulated.hpp>
#include <zsync/sched/poller.hpp>

#include <atomic>
#include <vector>

namespace zsync::detail {

// Belongs to one worker. All but post() and what poller allows others is for that worker's thread.
class engine : public poller {
 public:
  // A completing engine ends an operation with its result; any other only says when to try again.
  [[nodiscard]] bool completes() const noexcept { return completes_; }

  // Whether to attempt `o` at once, rather than to submit it and let the kernel do so in its own time.
  [[nodiscard]] bool worth_trying(const op& o, expectation what) const noexcept {
    return what != expectation::empty && (!completes_ || prefers_attempt(o, what));
  }

  // Makes sure that events for `o` come to this engine, the home of its descriptor, before its wait is
  // opened; by a visitor as well, from any thread, with the descriptor's lock held. Zero or an errno.
  [[nodiscard]] virtual int arm(descriptor& d, const op& o) noexcept;

  // `o` has a party whose wait is open, and is listed with its descriptor. Never fails and never waits;
  // exactly one completion follows if the engine completes.
  virtual void submit(op& o) noexcept { static_cast<void>(o); }

  // Hastens the completion of a submitted operation.
  virtual void cancel(op& o) noexcept { static_cast<void>(o); }

  // `d` is closed, and its number may be reused at once: what was submitted for it and has not gone to the
  // kernel yet never does, and ends with ECANCELED.
  virtual void withdraw(const descriptor& d) noexcept { static_cast<void>(d); }

  // `d` stays open, but is no longer of interest; its lock is held. Any thread.
  virtual void forget(descriptor& d) noexcept { static_cast<void>(d); }

  // `d` makes this its home, or leaves it; its lock is held. Throws std::bad_alloc.
  void move_in(descriptor& d);
  void move_out(descriptor& d) noexcept;

  // Counts a call that did not have to wait, of those that know no descriptor object. True once in a while:
  // so many that other fibers should have a turn.
  [[nodiscard]] bool hogs() noexcept { return ++streak_ % streak_max == 0; }

  // The calling fiber holds what others may want: its next calls that do not wait give them no turn.
  void begin_anew() noexcept { streak_ = 0; }

  // What has its home here under that number; nullptr if nothing has.
  [[nodiscard]] descriptor* resident(int fd) const noexcept {
    const std::size_t place = place_of(fd);
    return place < residents_.size() ? residents_[place] : nullptr;
  }

  // Any thread, holding the lock of a descriptor whose home this is. Urgent: an idle worker is woken for it.
  void post(descriptor& d, bool urgent) noexcept;

 protected:
  explicit engine(bool completes) noexcept : completes_(completes) {}
  ~engine() override = default;

  // Call when woken.
  void read_mail() noexcept {
    if (mailbox_.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
      read_mail_slowly();
  }
  // Call in the most derived destructor.
  void evict_all() noexcept;

 private:
  friend class descriptor;

  // Of an engine that completes, where nothing speaks against it.
  [[nodiscard]] virtual bool prefers_attempt(const op& o, expectation what) const noexcept;

  static std::size_t place_of(int fd) noexcept { return static_cast<std::size_t>(fd & ~simulated_bit); }

  void read_mail_slowly() noexcept;

  static constexpr unsigned streak_max = 64;

  const bool completes_;
  unsigned streak_ = 0;
  std::uint32_t generations_ = 0;
  std::vector<descriptor*> residents_;  // those whose home this is, by number
  std::atomic<descriptor*> mailbox_{nullptr};
};

// Wins the wait of `o`, which is done, may be tried again, or is to be given up. False: it was over already.
// True: the caller must schedule its party.
[[nodiscard]] inline bool claim(op& o) noexcept {
  if (!o.party->claim()) return false;
  o.party->cause = wake_cause::notified;
  o.party->fired = 0;
  return true;
}

// Schedules the fiber of a claimed operation that is finished with this worker, which is the one it waits on:
// from now on it may move.
void resume_anywhere(op& o) noexcept;

// The calling fiber's engine; nullptr on a plain thread.
engine* current_engine() noexcept;

// The engines, one file each. They throw std::system_error.
std::unique_ptr<poller> make_epoll();
std::unique_ptr<poller> make_kqueue();
std::unique_ptr<poller> make_uring();

// Why there can be no io_uring here: an errno, or 0 if there can.
int uring_obstacle() noexcept;

}  // namespace zsync::detail
