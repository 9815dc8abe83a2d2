// The control block of a fiber. A newborn is a closure and this block; a stack joins it when it first runs.
#pragma once

#include <zsync/fiber/exception_state.hpp>
#include <zsync/fiber/parker.hpp>
#include <zsync/fiber/stack.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace zsync::detail {

class worker;           // opaque here
class wait;             // opaque here
class deadline_frame;   // opaque here
class local_table;      // fiber_local's values

// The first cache line holds what a switch and a wake touch; the rest is for birth, death and questions.
//
//   newborn (no stack) --> running <--> ready
//                             |  ^
//                          waiting (parker: open)
//                             |
//   finished <---- running ---+          `home` is the worker that runs it, or ran it last.
class fiber_control : public parker {
 public:
  fiber_control() noexcept : parker(false) {}
  virtual ~fiber_control() = default;

  // Runs the closure, on the fiber's own stack, and keeps its result. An exception that leaves it has
  // nowhere to go, so the process terminates at the throw.
  virtual void run() = 0;

  void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  fiber_control* next = nullptr;  // link of the one queue that holds it; that queue guards it
  void* context = nullptr;        // where it goes on, while suspended; home's thread
  exception_state exceptions;     // while suspended; home's thread
  std::atomic<worker*> home{nullptr};  // changes only while it stands in a stealable queue
  int saved_errno = 0;                 // while suspended; home's thread
  bool stealable = false;              // may move to another worker after it started
  bool placed = false;                 // spawned for one worker, and not stolen even as a newborn
  bool detached = false;               // set before it started: nobody will join it

  stack memory;                           // none while newborn
  wait* waiting_in = nullptr;             // the wait it is in; the fiber itself, read by home's thread
  deadline_frame* deadlines = nullptr;    // innermost deadline scope; the fiber itself
  local_table* locals = nullptr;          // the fiber itself
  std::uint32_t shields = 0;              // nesting of cancellation shields; the fiber itself
  std::uint32_t stack_size = 0;           // bytes; 0: the runtime's default
  std::uint64_t id = 0;
  const void* spawned_at = nullptr;       // return address in the code that spawned it
  std::unique_ptr<std::string> name;      // set before it runs or by itself

 private:
  std::atomic<std::uint32_t> references_{1};
};

}  // namespace zsync::detail
