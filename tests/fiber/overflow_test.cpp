#include <zsync/sched/loop.hpp>
#include <zsync/sched/runtime.hpp>
#include <zsync/sched/this_fiber.hpp>

#include "support/catch.hpp"
#include "support/matrix.hpp"
#include "support/subprocess.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstring>

namespace test = zsync::test;
using Catch::Contains;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool address_sanitizer = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool address_sanitizer = true;
#else
constexpr bool address_sanitizer = false;
#endif
#else
constexpr bool address_sanitizer = false;
#endif

volatile int sink = 0;

// Not static, so that the dynamic symbol table of a program linked with -rdynamic could name it; not inlined,
// and with something to do after the call, so that it is no loop.
__attribute__((noinline)) int recurse_for_ever(int depth) {  // NOLINT(misc-no-recursion)
  volatile char frame[256];
  frame[0] = static_cast<char>(depth);
  if (depth < 0) return frame[0];
  return recurse_for_ever(depth + 1) + frame[0];
}

__attribute__((noinline)) void touch_a_large_frame() {
  volatile char frame[160 * 1024];
  frame[0] = 1;
  asm volatile("" : : "r"(&frame) : "memory");  // clang leaves out what nobody can see
  sink = sink + frame[0];
}

void run_named(const zsync::runtime_options& options, void (*body)()) {
  zsync::runtime own(options);
  own.spawn({.name = "deep thought"}, body).join();
}

// After its report the process ends by the signal, as it would have without one. AddressSanitizer's handler,
// which is the one passed on to, ends it in its own way.
void check_report(const test::child_result& ended, const std::string& size) {
  CHECK_THAT(ended.err, Contains("zsync: stack overflow in fiber 1 'deep thought'"));
  CHECK_THAT(ended.err, Contains("its stack of " + size + " bytes"));
  CHECK_THAT(ended.err, Contains("spawned at 0x"));
  CHECK_THAT(ended.err, Contains("\n    0x"));
  if (!address_sanitizer) CHECK(ended.signal == SIGSEGV);
}

std::size_t frames_in(const std::string& report) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = report.find("\n    0x", at)) != std::string::npos; ++at) ++count;
  return count;
}

}  // namespace

TEST_CASE("endless recursion ends the process with a report that names the fiber", "[overflow]") {
  test::matrix({.backends = false, .policies = true}, [](const zsync::runtime_options& options) {
    const auto ended = test::run_in_child([&] { run_named(options, [] { sink = recurse_for_ever(0); }); });
    check_report(ended, "262144");
    CHECK(frames_in(ended.err) > 20);
  });
}

TEST_CASE("a frame larger than the stack cannot skip the guard", "[overflow]") {
  zsync::runtime_options options;
  options.workers = 1;
  options.stack_size = std::size_t{address_sanitizer ? 128 : 64} * 1024;
  const auto ended = test::run_in_child([&] { run_named(options, [] { touch_a_large_frame(); }); });
  check_report(ended, std::to_string(options.stack_size));
}

TEST_CASE("the stacks of run and of a loop are watched as those of a runtime", "[overflow]") {
  const auto in_run = test::run_in_child([] { zsync::run([] { sink = recurse_for_ever(0); }); });
  CHECK_THAT(in_run.err, Contains("zsync: stack overflow in fiber 1 'main'"));
  const auto in_loop = test::run_in_child([] {
    zsync::loop own;
    own.post([] { sink = recurse_for_ever(0); });
    own.poll();
  });
  CHECK_THAT(in_loop.err, Contains("zsync: stack overflow in fiber 1 ''"));
}

TEST_CASE("a program's own handler gets the overflow after the report", "[overflow]") {
  const auto ended = test::run_in_child([] {
    struct sigaction own {};
    own.sa_flags = SA_SIGINFO;
    own.sa_sigaction = [](int, siginfo_t*, void*) {
      const char text[] = "the program's own\n";
      [[maybe_unused]] const auto n = ::write(2, text, sizeof text - 1);
      ::_exit(42);
    };
    ::sigaction(SIGSEGV, &own, nullptr);
    run_named({}, [] { sink = recurse_for_ever(0); });
  });
  CHECK(ended.exit_code == 42);
  const auto report = ended.err.find("zsync: stack overflow");
  const auto own = ended.err.find("the program's own");
  CHECK(report != std::string::npos);
  CHECK(own != std::string::npos);
  CHECK(report < own);
}

TEST_CASE("a handler that returns from an overflow does not make it endless", "[overflow]") {
  const auto ended = test::run_in_child([] {
    std::signal(SIGSEGV, [](int) {});
    run_named({}, [] { sink = recurse_for_ever(0); });
  });
  CHECK_FALSE(ended.timed_out);
  CHECK(ended.signal == SIGSEGV);
  CHECK(ended.err.find("zsync: stack overflow") == ended.err.rfind("zsync: stack overflow"));
}

namespace {

char* page = nullptr;

void make_page_writable(int, siginfo_t* fault, void*) {
  if (fault->si_addr == page) ::mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

}  // namespace

TEST_CASE("a program that lives by its own faults goes on to, in fibers and out of them", "[overflow]") {
  const auto ended = test::run_in_child([] {
    page = static_cast<char*>(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    struct sigaction own {};
    own.sa_flags = SA_SIGINFO;
    own.sa_sigaction = &make_page_writable;
    ::sigaction(SIGSEGV, &own, nullptr);
    {
      zsync::runtime runtime({.workers = 2});
      runtime.block_on([] { *page = 1; });
      ::mprotect(page, 4096, PROT_NONE);
      *page = 2;
      runtime.block_on([] {
        for (int i = 0; i < 100; ++i) {
          ::mprotect(page, 4096, PROT_NONE);
          *page = 3;
          zsync::this_fiber::yield();
        }
      });
    }
    struct sigaction now {};
    ::sigaction(SIGSEGV, nullptr, &now);
    if (now.sa_sigaction != &make_page_writable) std::abort();
    ::mprotect(page, 4096, PROT_NONE);
    *page = 4;
  });
  CHECK(ended.err.empty());
  CHECK(ended.exit_code == 0);
}

TEST_CASE("a fault that is no overflow is nobody's business", "[overflow]") {
  if (address_sanitizer) return;  // it reports such faults itself
  const auto ended =
      test::run_in_child([] { run_named({}, [] { *static_cast<volatile int*>(nullptr) = 1; }); });
  CHECK(ended.signal == SIGSEGV);
  CHECK(ended.err.empty());
  const auto sent = test::run_in_child([] { run_named({}, [] { std::raise(SIGSEGV); }); });
  CHECK(sent.signal == SIGSEGV);
}

TEST_CASE("without a runtime the signals are as they were", "[overflow]") {
  struct sigaction before[2], after[2];
  ::sigaction(SIGSEGV, nullptr, &before[0]);
  ::sigaction(SIGBUS, nullptr, &before[1]);
  stack_t stack_before{}, stack_after{};
  ::sigaltstack(nullptr, &stack_before);
  zsync::run([] {});
  ::sigaltstack(nullptr, &stack_after);
  ::sigaction(SIGSEGV, nullptr, &after[0]);
  ::sigaction(SIGBUS, nullptr, &after[1]);
  CHECK(before[0].sa_sigaction == after[0].sa_sigaction);
  CHECK(before[1].sa_sigaction == after[1].sa_sigaction);
  CHECK(stack_before.ss_sp == stack_after.ss_sp);
}
