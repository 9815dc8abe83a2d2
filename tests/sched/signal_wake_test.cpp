// Wakes from a signal handler that has interrupted a worker at one instruction after the other.
#include "support/in_fiber.hpp"

#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include <ucontext.h>

#if defined(__x86_64__) && defined(__linux__)

using namespace std::chrono_literals;
namespace test = zsync::test;
namespace this_fiber = zsync::this_fiber;

namespace {

zsync::waker woken;
volatile std::sig_atomic_t instructions_left = 0;
volatile std::sig_atomic_t over = 0;

// From now on there is a SIGTRAP after each instruction of the calling thread.
inline void begin_to_step() {
  asm volatile(
      "lea -128(%%rsp), %%rsp\n\t"
      "pushfq\n\t"
      "orl $0x100, (%%rsp)\n\t"
      "popfq\n\t"
      "lea 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

extern "C" void step(int, siginfo_t*, void* context) {
  instructions_left = instructions_left - 1;
  if (instructions_left > 0 && over == 0) return;
  if (over == 0) woken.wake_from_signal();
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL] &= ~greg_t{0x100};
}

class handler {
 public:
  handler(int signal, void (*f)(int, siginfo_t*, void*)) : signal_(signal) {
    struct sigaction action {};
    action.sa_sigaction = f;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    ::sigaction(signal, &action, &before_);
  }
  ~handler() { ::sigaction(signal_, &before_, nullptr); }
  handler(const handler&) = delete;
  handler& operator=(const handler&) = delete;

 private:
  const int signal_;
  struct sigaction before_ {};
};

}  // namespace

// Whatever the handler touches of the worker's own is torn when the worker was in the midst of it.
TEST_CASE("a signal handler may wake a fiber at any instruction of its worker's", "[park]") {
  if (test::sanitized) return;  // which step through much more, and delay signals
  const handler tracer(SIGTRAP, &step);
  zsync::runtime own({.workers = 1});
  std::atomic<int> wakes{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> finished{false};
  auto sleeper = own.spawn([&] {
    woken = this_fiber::get_waker();
    while (!stop) {
      this_fiber::park();
      ++wakes;
    }
  });
  // So that the queue holds others when the handler comes.
  auto neighbour = own.spawn([&] {
    while (!stop) this_fiber::yield();
  });
  int tried = 0;
  int missed = 0;
  auto stepper = own.spawn([&] {
    this_fiber::yield();
    for (over = 0; over == 0; ++tried) {
      const int before = wakes;
      instructions_left = tried + 1;
      begin_to_step();
      this_fiber::yield();
      if (instructions_left > 0) over = 1;  // all of it has been tried
      for (int i = 0; i < 100 && wakes == before && over == 0; ++i) this_fiber::yield();
      if (wakes == before && over == 0) ++missed;
    }
    finished = true;
    stop = true;
    woken.wake();
  });
  for (int i = 0; i < 20'000 && !finished; ++i) std::this_thread::sleep_for(1ms);
  REQUIRE(finished);  // else fibers were lost
  stepper.join();
  neighbour.join();
  sleeper.join();
  woken = {};
  CHECK(missed == 0);
  CHECK(tried > 100);
}

#endif
