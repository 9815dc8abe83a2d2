// The control block of a fiber. A newborn is a closure and this block; a stack joins it when it first runs.
#pragma once

#include <zsync/fiber/exception_state.hpp>
#include <zsync/fiber/ordering.hpp>
#include <zsync/fiber/parker.hpp>
#include <zsync/fiber/sanitizer.hpp>
#include <zsync/fiber/stack.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace zsync::detail {

class worker;  // opaque here, as are the next
class wait;
struct deadline_frame;
class local_table;

// The first cache line holds what a switch and a wake touch; the rest is for birth, death and questions.
//
//   newborn --> running <--> ready        newborn: has neither stack nor context
//                 |  ^         ^          ready:   stands in a run queue
//                 |  '---------+-- waiting: its parker is open
//                 v
//             finished                    its stack goes on to the next one; the block lives as long as
//                                         a handle or a waker refers to it
class fiber_control : public parker {
 public:
  // Starts with that many references: its run has one, its handle another.
  explicit fiber_control(std::uint32_t references = 1) noexcept : parker(false), references_(references) {}
  virtual ~fiber_control() = default;

  // Runs the closure, on the fiber's own stack, and keeps its result.
  virtual void run() = 0;

  // Instead of run(), when there is no stack to run on: ends the fiber with that error.
  virtual void abandon() noexcept = 0;

  // Where it belongs to one: its task group. For dumps.
  [[nodiscard]] virtual const void* group() const noexcept { return nullptr; }

  [[nodiscard]] bool is_newborn() const noexcept { return context == nullptr; }

  // For who holds two of them, and keeps one.
  void release_one_of_two() noexcept {
    if (references_.load(std::memory_order_acquire) == 2) [[likely]] {
      references_.store(1, std::memory_order_relaxed);
    } else {
      references_.fetch_sub(1, std::memory_order_acq_rel);
    }
  }

  // Each release() hands on what its owner did, and the last acquires all of it.
  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    checker::release(&references_);
    // The last reference needs no atomic decrement: nobody else is left who could change the count.
    if (references_.load(std::memory_order_acquire) == 1 ||
        references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      checker::acquire(&references_);
      delete this;
    }
  }

  plain<fiber_control*> next = nullptr;  // link of the one queue that holds it; that queue guards it
  void* context = nullptr;               // where it goes on, while suspended; home's thread
  exception_state exceptions;            // while suspended; home's thread
  std::atomic<worker*> home{nullptr};    // a newborn's spawner; changes only while it is ready
  int saved_errno = 0;                   // while suspended; home's thread
  bool stealable = false;                // may move to another worker after it started
  bool placed = false;                   // spawned for one worker: not stolen even as a newborn
  bool anchored = false;                 // in a wait that has to end on the worker where it began
  bool joined_here = false;              // began in place of its joiner, who is ready; home's thread

  // From here on each field belongs to the fiber itself once it runs, and to its spawner before.
  stack memory;
  wait* waiting_in = nullptr;           // the wait it is in; home's thread may look while it is parked
  deadline_frame* deadlines = nullptr;  // innermost deadline scope
  local_table* locals = nullptr;
  std::uint32_t shields = 0;     // nesting of cancellation shields
  std::uint32_t stack_size = 0;  // bytes, rounded
  std::uint64_t id = 0;
  const void* spawned_at = nullptr;  // an address in the code that spawned it
  std::unique_ptr<std::string> name;
  checker_state checked;

 private:
  atomic<std::uint32_t> references_;
};

}  // namespace zsync::detail
