// The least that channel, mutex and condition can be over the bare scheduler, still safe between threads.
#pragma once

#include "limits/bare_scheduler.hpp"

namespace bare {

class wait_list {
 public:
  void push(fiber* f) { waiting_.push(f); }
  fiber* claim() {
    while (fiber* f = waiting_.pop())
      if (scheduler::claim(*f)) return f;
    return nullptr;
  }

 private:
  queue waiting_;
};

// Counts the children that its owner waits for.
class join_counter {
 public:
  explicit join_counter(scheduler& s, long count) : s_(s), owner_(s.current()), left_(count) {}
  void done() {
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1 && scheduler::claim(*owner_)) s_.schedule(*owner_);
  }
  void wait() {
    if (left_.load(std::memory_order_acquire) == 0) return;
    s_.open();
    if (left_.load(std::memory_order_acquire) == 0 && scheduler::claim(*owner_)) return;
    s_.park();
  }

 private:
  scheduler& s_;
  fiber* owner_;
  std::atomic<long> left_;
};

class mutex {
 public:
  explicit mutex(scheduler& s) : s_(s) {}
  void lock() {
    bool free = false;
    if (held_.compare_exchange_strong(free, true, std::memory_order_acquire)) return;
    guard_.lock();
    if (++contenders_, !held_.exchange(true, std::memory_order_acquire)) {
      --contenders_;
      return guard_.unlock();
    }
    s_.open();
    waiting_.push(s_.current());
    guard_.unlock();
    s_.park();  // the lock is handed over
  }
  void unlock() {
    if (contenders_ == 0) return held_.store(false, std::memory_order_seq_cst);
    guard_.lock();
    fiber* next = waiting_.claim();
    if (next)
      --contenders_;
    else
      held_.store(false, std::memory_order_release);
    guard_.unlock();
    if (next) s_.schedule(*next);
  }

 private:
  friend class condition;
  scheduler& s_;
  std::atomic<bool> held_{false};
  std::atomic<int> contenders_{0};
  spinlock guard_;
  wait_list waiting_;
};

class condition {
 public:
  explicit condition(scheduler& s) : s_(s) {}
  void wait(mutex& m) {
    guard_.lock();
    s_.open();
    waiting_.push(s_.current());
    guard_.unlock();
    m.unlock();
    s_.park();
    m.lock();
  }
  void notify_one() {
    guard_.lock();
    fiber* next = waiting_.claim();
    guard_.unlock();
    if (next) s_.schedule(*next);
  }

 private:
  scheduler& s_;
  spinlock guard_;
  wait_list waiting_;
};

template <class T>
class channel {
 public:
  channel(scheduler& s, std::size_t capacity) : s_(s), ring_(capacity ? capacity : 1), capacity_(capacity) {}

  void send(T value) {
    guard_.lock();
    for (;;) {
      if (size_ < ring_.size() && (capacity_ != 0 || size_ == 0)) break;
      s_.open();
      senders_.push(s_.current());
      guard_.unlock();
      s_.park();
      guard_.lock();
    }
    ring_[(head_ + size_++) & (ring_.size() - 1)] = value;
    fiber* reader = receivers_.claim();
    guard_.unlock();
    if (reader) s_.schedule(*reader);
  }

  T recv() {
    guard_.lock();
    while (size_ == 0) {
      s_.open();
      receivers_.push(s_.current());
      guard_.unlock();
      s_.park();
      guard_.lock();
    }
    T value = ring_[head_];
    head_ = (head_ + 1) & (ring_.size() - 1);
    --size_;
    fiber* writer = senders_.claim();
    guard_.unlock();
    if (writer) s_.schedule(*writer);
    return value;
  }

 private:
  scheduler& s_;
  spinlock guard_;
  std::vector<T> ring_;  // a power of two
  std::size_t capacity_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  wait_list senders_;
  wait_list receivers_;
};

}  // namespace bare
