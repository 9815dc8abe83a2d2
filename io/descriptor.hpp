// A descriptor that fibers of several workers, and plain threads, may use and close at the same time.
//
// close() is no wake-up in the kernel, so it is one here: whoever waits is woken and gets error::closed, the
// peer is told, and the number goes back to the kernel only when nobody can use it any more.
//
// The worker on which a fiber first has to wait becomes the descriptor's home. Its fibers are *local*: what
// they do needs no lock and no count, because only one of them runs at a time and close() takes effect on
// that same thread. Everybody else is a *visitor*, counted and listed under the lock.
//
//   open ----close()----> closing ----home has let go, last visitor has left----> closed (number returned)
//
// Closing from another thread is a message to the home (see engine::post), and so is the end of the object.
#pragma once

#include <zsync/io/op.hpp>
#include <zsync/io/portable.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>
#include <zsync/timer/clock.hpp>

#include <atomic>
#include <cstdint>
#include <utility>

namespace zsync::detail {

class engine;

enum class descriptor_kind : std::uint8_t {
  stream_socket,  // a read that returns less than asked for has emptied it
  socket,         // that cannot be concluded: datagrams, listeners, streams that carry descriptors
  other,          // no socket; non-blocking
  shared_mode,    // no socket, and others rely on its mode, so that it may be blocking: standard streams
};

// What the next attempt would find. Readiness engines attempt unless it is `empty`; an event ends that.
enum class expectation : std::uint8_t { unknown, ready, empty };

class descriptor {
 public:
  static constexpr clock::duration no_timeout = clock::duration::max();

  // Takes the number over, unless it is borrowed: then it stays its owner's, and must stay open while this is
  // used.
  descriptor(int fd, descriptor_kind kind, bool borrowed = false) noexcept
      : fd_(fd), kind_(kind), returned_(borrowed), borrowed_(borrowed) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  // For who holds no reference, on the home's thread or under the lock of borrowed.cpp. False: the last one
  // is gone, and the object ends soon.
  [[nodiscard]] bool retain_if_alive() noexcept {
    std::uint32_t count = references_.load(std::memory_order_relaxed);
    while (count != 0) {
      if (references_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed)) return true;
    }
    return false;
  }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) end();
  }

  [[nodiscard]] int fd() const noexcept { return fd_; }
  [[nodiscard]] descriptor_kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool is_socket() const noexcept {
    return kind_ == descriptor_kind::stream_socket || kind_ == descriptor_kind::socket;
  }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

  // Any thread, any number of times. Wakes whoever waits. A socket that somebody uses is shut down, so that
  // the peer hears of it even while duplicates are alive; one that nobody uses is just closed, because it may
  // have been handed to a child process, and so is a borrowed one, because that is what its owner does.
  void close() noexcept;

  // Once it is closed: until nobody uses the number any more, so that the owner of a borrowed one can give it
  // back. Neither cancellation nor a deadline ends this.
  void await_let_go() noexcept;

  // As close(), but the number stays open and is returned; -1 if it was closed already. Nobody may be using
  // it.
  [[nodiscard]] int give_up() noexcept;

  // ---- for those who perform operations; see perform.cpp ----

  [[nodiscard]] engine* home() const noexcept { return home_.load(std::memory_order_acquire); }
  [[nodiscard]] bool is_home(const engine* here) const noexcept {
    return home_.load(std::memory_order_relaxed) == here;
  }
  // Makes `here` the home, unless another engine was quicker or it is closed. Throws std::bad_alloc.
  bool settle(engine& here);

  [[nodiscard]] bool enter() noexcept;  // as a visitor; false: closed
  void leave() noexcept;

  // By the operation's owner. Taking out what has been taken out already does nothing.
  void list_local(op& o) noexcept;
  void unlist_local(op& o) noexcept;
  [[nodiscard]] bool list_shared(op& o) noexcept;  // false: closed
  void unlist_shared(op& o) noexcept;

  // What the next attempt is expected to find; the home's thread.
  [[nodiscard]] expectation expects(direction side) const noexcept {
    return expects_[static_cast<int>(side)];
  }
  void expect(direction side, expectation what) noexcept { expects_[static_cast<int>(side)] = what; }
  // Draws the conclusion from a local operation that has succeeded.
  void learn(const op& o, bool events_tell) noexcept;
  // The last thing that succeeded at home was a receipt, so that what is sent now is an answer.
  [[nodiscard]] bool answers() const noexcept { return answers_; }
  // An attempt was made, and would have to wait.
  void found_empty(direction side) noexcept {
    if (side == direction::in && expects(side) == expectation::ready)
      luck_ = luck_ > 0 ? luck_ - 1 : -guess_pause;
    expect(side, expectation::empty);
  }
  // True once in a while: so many successes in a row that others should have a turn.
  [[nodiscard]] bool hogs() noexcept {
    const unsigned next = streak_.load(std::memory_order_relaxed) + 1u;
    streak_.store(static_cast<std::uint8_t>(next), std::memory_order_relaxed);
    return next % streak_max == 0;
  }

  // Wakes the local one that has waited longest, and one visitor, so that they try again; the home's thread.
  void became_ready(direction side) noexcept;
  // The end of the stream or an error stands in the queue behind the data: a short read says nothing any
  // more.
  void ended() noexcept { ended_ = true; }
  // Lets the next one try, after one has succeeded and there may be more.
  void pass_on_local(direction side) noexcept {
    if (!local_[static_cast<int>(side)].empty()) [[unlikely]]
      wake_local(side);
  }
  void pass_on_shared(direction side) noexcept {
    if (waiting_visitors_.load(std::memory_order_relaxed) != 0) wake_shared(side);
  }

  // The registration with a readiness engine: which directions are armed, as a set of 1 << direction. Changed
  // under the lock, read by anybody.
  std::atomic<std::uint8_t> armed{0};
  std::uint32_t generation = 0;  // under the lock, and the home's thread
  [[nodiscard]] spinlock& lock() noexcept { return lock_; }

  // A descriptor that is readable once this is closed, for threads that poll(2) what cannot be shut down.
  [[nodiscard]] int closing_signal() noexcept;

  // ---- for engines ----

  // The home's thread takes a message from its mailbox.
  void receive_mail(engine& here) noexcept;
  // The home is going away; wakes those who relied on it.
  void evict(engine& here) noexcept;
  descriptor* next_mail = nullptr;
  descriptor* next_borrowed = nullptr;   // borrowed.cpp's, as the next
  descriptor** link_borrowed = nullptr;  // what points to this
  [[nodiscard]] bool borrowed() const noexcept { return borrowed_; }

  // Nanoseconds that a read or write may wait; relaxed, any thread.
  std::atomic<clock::rep> read_timeout{no_timeout.count()};
  std::atomic<clock::rep> write_timeout{no_timeout.count()};

 private:
  enum mail : std::uint8_t { nothing, please_close, please_end };

  ~descriptor() = default;
  void end() noexcept;
  bool let_go(engine& here, op_list& woken) noexcept;
  [[nodiscard]] expectation guess() noexcept;
  void send_home(engine& home, std::uint8_t what) noexcept;
  void shut_down() noexcept;
  [[nodiscard]] int take_fd() noexcept;
  void wake_local(direction side) noexcept;
  void wake_shared(direction side) noexcept;
  void claim_shared(op_list& woken) noexcept;

  static constexpr unsigned streak_max = 64;
  static constexpr signed char luck_max = 3;
  static constexpr signed char guess_pause = 32;

  const int fd_;
  const descriptor_kind kind_;
  std::atomic<std::uint8_t> streak_{0};  // successes without a wait; a lost count does no harm
  bool ended_ = false;                   // the home's thread
  bool answers_ = false;                 // the home's thread
  signed char luck_ = -guess_pause;      // the home's thread; see guess()
  expectation expects_[2] = {expectation::unknown, expectation::unknown};  // the home's thread
  op_list local_[2];                                                       // the home's thread
  std::atomic<engine*> home_{nullptr};  // set under the lock; cleared by the home's thread under the lock
  std::atomic<bool> closed_{false};     // set under the lock
  std::atomic<std::uint32_t> references_{1};

  spinlock lock_;        // guards what follows
  bool let_go_ = false;  // the home, if there was one, has let go
  bool returned_;
  std::uint8_t mail_ = nothing;
  std::uint32_t visitors_ = 0;
  std::atomic<std::uint32_t> waiting_visitors_{0};  // changed under the lock, read by the home
  op_list shared_[2];
  flag_descriptor closing_signal_;
  wait_queue quiet_;  // who waits until it is let go
  const bool borrowed_;
};

// Calls f(fd) with a number that is not returned meanwhile, and so is nobody else's. False: it is closed.
template <class F>
bool with_fd(descriptor& d, F f) {
  if (!d.enter()) return false;
  f(d.fd());
  d.leave();
  return true;
}

// Owns one reference.
class descriptor_ptr {
 public:
  descriptor_ptr() noexcept = default;
  explicit descriptor_ptr(descriptor* owned) noexcept : d_(owned) {}
  descriptor_ptr(const descriptor_ptr& other) noexcept : d_(other.d_) {
    if (d_ != nullptr) d_->retain();
  }
  descriptor_ptr(descriptor_ptr&& other) noexcept : d_(std::exchange(other.d_, nullptr)) {}
  descriptor_ptr& operator=(descriptor_ptr other) noexcept {
    std::swap(d_, other.d_);
    return *this;
  }
  ~descriptor_ptr() {
    if (d_ != nullptr) d_->release();
  }

  // For the calling fiber, to wait on a descriptor that is somebody else's. What its worker knows by that
  // number already is shared. Throws std::bad_alloc.
  static descriptor_ptr borrow(int fd, descriptor_kind kind);

  // Takes `fd` over, also when memory runs out: then it is closed and std::bad_alloc thrown.
  static descriptor_ptr adopt(int fd, descriptor_kind kind);

  [[nodiscard]] descriptor* get() const noexcept { return d_; }
  descriptor* operator->() const noexcept { return d_; }
  descriptor& operator*() const noexcept { return *d_; }
  explicit operator bool() const noexcept { return d_ != nullptr; }

 private:
  descriptor* d_ = nullptr;
};

}  // namespace zsync::detail
