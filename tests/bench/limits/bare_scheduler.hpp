// The limit for a scheduler of stackful fibers: an intrusive queue, jump_fcontext, newborns without a stack
// that run youngest first, and wake-ups that any thread may do. Nothing else: no guards, no exception state,
// no cancellation, no deadlines, no statistics, one worker. What a complete runtime costs more is the price
// of those.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

namespace bare {

namespace context = boost::context::detail;

struct fiber {
  fiber* next = nullptr;
  context::fcontext_t suspended = nullptr;
  void* stack = nullptr;
  std::atomic<std::uint32_t> settled{1};  // 0: parked, and whoever sets it schedules the fiber
  void (*body)(fiber&) = nullptr;
  alignas(16) unsigned char closure[64];
};

struct queue {
  fiber* head = nullptr;
  fiber** tail = &head;
  void push(fiber* f) {
    f->next = nullptr;
    *tail = f;
    tail = &f->next;
  }
  fiber* pop() {
    fiber* f = head;
    if (f && !(head = f->next)) tail = &head;
    return f;
  }
};

class spinlock {
 public:
  void lock() {
    while (held_.exchange(true, std::memory_order_acquire))
      while (held_.load(std::memory_order_relaxed)) __builtin_ia32_pause();
  }
  void unlock() { held_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> held_{false};
};

class scheduler {
 public:
  explicit scheduler(std::size_t stack_size = 64 * 1024) : stack_size_(stack_size) { current_ = &main_; }

  template <class F>
  void spawn(F f) {
    static_assert(sizeof(F) <= sizeof(fiber::closure));
    fiber* child = blocks_ ? std::exchange(blocks_, blocks_->next) : new fiber;
    new (child->closure) F(std::move(f));
    child->body = [](fiber& self) {
      F& body = *reinterpret_cast<F*>(self.closure);
      body();
      body.~F();
    };
    child->next = newborn_;
    newborn_ = child;
  }

  fiber* current() { return current_; }

  void yield() {
    if (!ready_.head && !newborn_) return;
    ready_.push(current_);
    leave();
  }

  // Parks the caller, which has made itself findable after open(), until schedule() by the winner of claim().
  void open() { current_->settled.store(0, std::memory_order_seq_cst); }
  void park() { leave(); }
  static bool claim(fiber& f) { return f.settled.exchange(1, std::memory_order_acq_rel) == 0; }
  void schedule(fiber& f) { ready_.push(&f); }  // on the worker's own thread

  // The same from any thread: the worker takes the whole list when it looks.
  void schedule_from_afar(fiber& f) {
    fiber* old = inbox_.load(std::memory_order_relaxed);
    do f.next = old;
    while (!inbox_.compare_exchange_weak(old, &f, std::memory_order_release));
  }

 private:
  // The next to run goes on on this same stack if it is a newborn and the old fiber is done with it.
  void leave() {
    fiber* self = current_;
    fiber* next = pick();
    if (next == self) return;
    jump(next, self);
  }

  fiber* pick() {
    for (;;) {
      if (inbox_.load(std::memory_order_relaxed)) drain();
      const bool newborn_first = ++picks_ % 64 == 0;  // so that fibers that only yield cannot keep them out
      if (!newborn_first)
        if (fiber* f = ready_.pop()) return f;
      if (newborn_) return std::exchange(newborn_, newborn_->next);
      if (fiber* f = ready_.pop()) return f;
    }
  }

  void drain() {
    fiber* f = inbox_.exchange(nullptr, std::memory_order_acquire);
    while (f) ready_.push(std::exchange(f, f->next));
  }

  void jump(fiber* to, fiber* from) {
    current_ = to;
    if (!to->suspended) start(to);
    const auto back = context::jump_fcontext(to->suspended, from);
    arrived(back);
  }

  static void arrived(context::transfer_t back) {
    if (back.data) static_cast<fiber*>(back.data)->suspended = back.fctx;
  }

  void start(fiber* f) {
    if (stacks_.empty()) more_stacks();
    f->stack = stacks_.back();
    stacks_.pop_back();
    f->suspended = context::make_fcontext(f->stack, stack_size_, &scheduler::enter);
    here_ = this;
  }

  static void enter(context::transfer_t back) {
    arrived(back);
    here_->live();
  }

  // Runs newborns one after the other, until an older fiber is to go on: then this stack is free.
  [[noreturn]] void live() {
    for (;;) {
      fiber* self = current_;
      self->body(*self);
      void* stack = self->stack;
      self->suspended = nullptr;
      self->next = blocks_;
      blocks_ = self;
      fiber* next = pick();
      current_ = next;
      if (!next->suspended) {
        next->stack = stack;
        next->suspended = this;  // any value but null: it has a stack
        continue;
      }
      stacks_.push_back(stack);
      context::jump_fcontext(next->suspended, nullptr);
    }
  }

  void more_stacks() {
    constexpr std::size_t slab = 64;
    // The tops are moved by a few lines each, so that they do not fight for the same cache sets.
    auto* base = static_cast<char*>(mmap(nullptr, slab * stack_size_, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0));
    if (base == MAP_FAILED) std::abort();
    madvise(base, slab * stack_size_, MADV_NOHUGEPAGE);
    for (std::size_t i = slab; i > 0; --i) stacks_.push_back(base + i * stack_size_ - (i % 16) * 192);
  }

  static inline scheduler* here_ = nullptr;
  std::size_t stack_size_;
  unsigned picks_ = 0;
  fiber* current_ = nullptr;
  fiber* newborn_ = nullptr;
  fiber* blocks_ = nullptr;
  queue ready_;
  std::atomic<fiber*> inbox_{nullptr};
  std::vector<void*> stacks_;
  fiber main_;
};

}  // namespace bare
