#include "faults/denial.hpp"

#include "support/descriptors.hpp"
#include "support/subprocess.hpp"

#include <zsync/fiber/backtrace.hpp>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace {

using zsync::test::denied;
using zsync::test::request;

constexpr int frames_max = 14;

// Of the whole process: any thread's request counts.
std::atomic<bool> armed{false};
std::atomic<request> denies{};
std::atomic<bool> goes_on{false};
std::atomic<bool> without_guard_pages{false};
std::atomic<long> left{0};
std::atomic<long> happened{0};
std::atomic<long> alive{0};  // allocations

// What the parent sees of a child, also of one that has crashed.
struct progress {
  std::atomic<long> run;
  std::atomic<int> frame_count;
  void* frames[frames_max];  // where the first request was denied
};
progress* shared = nullptr;

void note_where() noexcept { shared->frame_count.store(::backtrace(shared->frames, frames_max)); }

bool denied_now(request what) noexcept {
  if (!armed.load(std::memory_order_acquire) || denies.load(std::memory_order_relaxed) != what) return false;
  const long before = left.fetch_sub(1, std::memory_order_relaxed);
  if (before > 0 || (before < 0 && !goes_on.load(std::memory_order_relaxed))) return false;
  if (happened.fetch_add(1, std::memory_order_relaxed) == 0) note_where();
  return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (denied_now(request::memory)) return nullptr;
  if (size == 0) size = 1;
  void* const memory = alignment <= alignof(std::max_align_t)
                           ? std::malloc(size)
                           : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (memory != nullptr) alive.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void deallocate(void* memory) noexcept {
  if (memory == nullptr) return;
  alive.fetch_sub(1, std::memory_order_relaxed);
  std::free(memory);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 0) {
  if (void* const memory = allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}

// Where the request goes that is not denied.
template <class F>
F next(const char* name) noexcept {
  return reinterpret_cast<F>(::dlsym(RTLD_NEXT, name));
}

using system_call = long (*)(long, ...);

template <class... Arguments>
long ask_kernel(long number, Arguments... arguments) noexcept {
  static const auto real = next<system_call>("syscall");
  return real(number, arguments...);
}

template <class... Arguments>
int ask(request what, int error, long number, Arguments... arguments) noexcept {
  if (denied_now(what)) {
    errno = error;
    return -1;
  }
  return static_cast<int>(ask_kernel(number, arguments...));
}

// 0, or with what the call fails.
int refusal(long number) noexcept {
  switch (number) {
    case SYS_accept4:
      if (denied_now(request::descriptor)) return EMFILE;
      [[fallthrough]];
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_sendto:
    case SYS_sendmsg:
#if defined(SYS_epoll_wait)
    case SYS_epoll_wait:
#endif
    case SYS_epoll_pwait:
#if defined(SYS_epoll_pwait2)
    case SYS_epoll_pwait2:
#endif
      return denied_now(request::peace) ? EINTR : 0;
    default:
      return 0;
  }
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void operator delete(void* memory) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { deallocate(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { deallocate(memory); }
void operator delete[](void* memory) noexcept { deallocate(memory); }
void operator delete[](void* memory, std::size_t) noexcept { deallocate(memory); }

extern "C" {

void* mmap(void* at, std::size_t size, int protection, int flags, int fd, off_t offset) noexcept {
  if (denied_now(request::mapping)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return reinterpret_cast<void*>(ask_kernel(SYS_mmap, at, size, protection, flags, fd, offset));
}
int madvise(void* at, std::size_t size, int advice) noexcept {
  if (without_guard_pages.load(std::memory_order_relaxed)) {
    errno = EINVAL;  // as before Linux 6.13
    return -1;
  }
  return ask(request::advice, ENOMEM, SYS_madvise, at, size, advice);
}
int mprotect(void* at, std::size_t size, int protection) noexcept {
  return ask(request::protection, ENOMEM, SYS_mprotect, at, size, protection);
}
int socket(int domain, int type, int protocol) noexcept {
  return ask(request::descriptor, EMFILE, SYS_socket, domain, type, protocol);
}
int socketpair(int domain, int type, int protocol, int* ends) noexcept {
  return ask(request::descriptor, EMFILE, SYS_socketpair, domain, type, protocol, ends);
}
int pipe2(int* ends, int flags) noexcept { return ask(request::descriptor, EMFILE, SYS_pipe2, ends, flags); }
int epoll_create1(int flags) noexcept { return ask(request::descriptor, EMFILE, SYS_epoll_create1, flags); }
int eventfd(unsigned count, int flags) noexcept {
  return ask(request::descriptor, EMFILE, SYS_eventfd2, count, flags);
}
// The library's own way to the kernel, where it needs no more than a number.
long syscall(long number, ...) noexcept {
  if (const int error = refusal(number); error != 0) {
    errno = error;
    return -1;
  }
  va_list rest;
  va_start(rest, number);
  long all[6];
  for (long& one : all) one = va_arg(rest, long);
  va_end(rest);
  return ask_kernel(number, all[0], all[1], all[2], all[3], all[4], all[5]);
}
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  // Taking one out asks for nothing.
  if (operation == EPOLL_CTL_DEL)
    return static_cast<int>(ask_kernel(SYS_epoll_ctl, epoll, operation, fd, event));
  return ask(request::watch, ENOMEM, SYS_epoll_ctl, epoll, operation, fd, event);
}
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  static const auto real = next<decltype(&::pthread_create)>("pthread_create");
  return denied_now(request::thread) ? EAGAIN : real(thread, attributes, start, argument);
}

}  // extern "C"

namespace zsync::test {
namespace {

using namespace std::chrono_literals;

bool is_for_want(const std::error_code& code) noexcept {
  for (const std::errc allowed :
       {std::errc::not_enough_memory, std::errc::too_many_files_open, std::errc::timed_out,
        std::errc::resource_unavailable_try_again, std::errc::no_buffer_space}) {
    if (code == allowed) return true;
  }
  return false;
}

void run_once(const std::function<void()>& scenario) {
  try {
    scenario();
  } catch (const std::bad_alloc&) {
  } catch (const std::system_error& e) {
    armed = false;
    if (!is_for_want(e.code())) throw std::runtime_error(std::string("it threw ") + e.what());
  }
  armed = false;
}

// What threads hold that are about to end goes with them.
long alive_at_rest(long wanted, int patience = 500) {
  for (int i = 0; i < patience && alive != wanted; ++i) std::this_thread::sleep_for(1ms);
  return alive;
}

// A run may leave what was made once and for all: then the next leaves nothing.
void settle(const std::function<void()>& scenario) {
  constexpr int tries = 20;
  for (int i = 0; i < tries; ++i) {
    const long before = alive;
    run_once(scenario);
    if (alive_at_rest(before, 20) == before) return;
  }
  throw std::runtime_error("it leaves something in each run, even with all that it asks for");
}

long run_all(request what, denied how_many, const std::function<void()>& scenario) {
  void* first_is_slow[1];
  ::backtrace(first_is_slow, 1);
  denies = what;
  without_guard_pages = what == request::protection;
  goes_on = how_many == denied::all_from_there_on;
  settle(scenario);
  const descriptor_map open = open_descriptors();
  for (long k = 0, again = 0;; ++k) {
    shared->run = k;
    shared->frame_count = 0;
    const long before = alive;
    left = k;
    happened = 0;
    armed = true;
    run_once(scenario);
    if (happened == 0) return k;
    if (const std::string leaked = leaked_descriptors(open, open_descriptors()); !leaked.empty())
      throw std::runtime_error("descriptors are left: " + leaked);
    const long after = alive_at_rest(before);
    if (after == before) {
      again = 0;
      continue;
    }
    // Made once and for all, on a way that none went before, or lost in each run? The same again tells.
    if (++again == 4) throw std::runtime_error(std::to_string(after - before) + " allocations are left");
    --k;
  }
}

std::string where_it_was_denied() {
  std::string text;
  for (int i = 3; i < shared->frame_count; ++i)  // the first are ours
    text += "\n    " + zsync::detail::symbol_name(shared->frames[i]);
  return text;
}

}  // namespace

denial_report deny_each(request what, denied how_many, const std::function<void()>& scenario) {
  void* const memory =
      ::mmap(nullptr, sizeof(progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  shared = new (memory) progress{};
  const child_result result =
      run_in_child([&] { std::printf("%ld", run_all(what, how_many, scenario)); }, {.timeout = 30s});
  denial_report report;
  report.denials = std::strtol(result.out.c_str(), nullptr, 10);
  if (result.exit_code != 0) {
    report.failure = "with request " + std::to_string(shared->run) + " denied";
    if (result.timed_out) report.failure += " it hangs";
    if (result.signal != 0) report.failure += " it ends by signal " + std::to_string(result.signal);
    report.failure += ":\n" + result.err + "the request was made by" + where_it_was_denied();
  }
  shared = nullptr;
  ::munmap(memory, sizeof(progress));
  return report;
}

}  // namespace zsync::test
