#include <zsync/fiber/backtrace.hpp>

#include <zsync/fiber/program_symbols.hpp>

#include <cxxabi.h>
#include <dlfcn.h>
#if defined(__linux__)
#include <ucontext.h>
#endif
#include <unistd.h>
#include <unwind.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace zsync::detail {
namespace {

// Where jump_fcontext() of Boost 1.81 leaves the frame pointer and the return address, in bytes from the
// context that it returns.
#if defined(__x86_64__)
constexpr std::ptrdiff_t saved_frame = 0x38;
constexpr std::ptrdiff_t saved_pc = 0x40;
#elif defined(__aarch64__)
constexpr std::ptrdiff_t saved_frame = 0x90;
constexpr std::ptrdiff_t saved_pc = 0xa0;
#endif

const void* load(const void* at) noexcept {
  const void* value = nullptr;
  std::memcpy(&value, at, sizeof value);
  return value;
}

const char* base_name(const char* path) noexcept {
  const char* const slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

std::uintptr_t distance(const void* from, const void* to) noexcept {
  return reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
}

// Collects from the interrupted function on; what the handler called lies before it.
struct collector {
  const void* from;
  const void** frames;
  std::size_t limit;
  std::size_t count = 0;

  static _Unwind_Reason_Code visit(_Unwind_Context* context, void* argument) {
    auto& self = *static_cast<collector*>(argument);
    const auto* const pc = reinterpret_cast<const void*>(_Unwind_GetIP(context));
    if (self.count != 0 || pc == self.from) self.frames[self.count++] = pc;
    return self.count == self.limit ? _URC_END_OF_STACK : _URC_NO_REASON;
  }
};

}  // namespace

stack_position position_of_parked([[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__) || defined(__aarch64__)
  const auto* const saved = static_cast<const std::byte*>(context);
  return {load(saved + saved_pc), load(saved + saved_frame)};
#else
  return {};
#endif
}

stack_position position_of_interrupted([[maybe_unused]] const void* context) noexcept {
#if defined(__linux__) && defined(__x86_64__)
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
  return {reinterpret_cast<const void*>(registers[REG_RIP]),
          reinterpret_cast<const void*>(registers[REG_RBP])};
#elif defined(__linux__) && defined(__aarch64__)
  const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
  return {reinterpret_cast<const void*>(machine.pc), reinterpret_cast<const void*>(machine.regs[29])};
#else
  return {};
#endif
}

const void* stack_pointer_of_interrupted([[maybe_unused]] const void* context) noexcept {
#if defined(__linux__) && defined(__x86_64__)
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
#elif defined(__linux__) && defined(__aarch64__)
  return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.sp);
#else
  return nullptr;
#endif
}

// Not instrumented, as the next.
__attribute__((no_sanitize("address", "thread", "undefined"))) stack_position position_of_waiting(
    stack_position chooser, const void* object) noexcept {
  auto frame = reinterpret_cast<std::uintptr_t>(chooser.frame);
  const auto end = reinterpret_cast<std::uintptr_t>(object);
  for (;;) {
    if (frame == 0 || frame >= end || frame % sizeof(void*) != 0) return chooser;
    const std::uintptr_t caller = *reinterpret_cast<const std::uintptr_t*>(frame);
    if (caller >= end) return {nullptr, reinterpret_cast<const void*>(frame)};
    if (caller <= frame) return chooser;
    frame = caller;
  }
}

// Not instrumented: it reads frames of functions that a checker takes to be somebody else's.
__attribute__((no_sanitize("address", "thread", "undefined"))) std::size_t walk_frames(
    stack_position from, const void* low, const void* high, const void** frames, std::size_t limit) noexcept {
  std::size_t count = 0;
  if (from.pc != nullptr && count < limit) frames[count++] = from.pc;
  auto frame = reinterpret_cast<std::uintptr_t>(from.frame);
  auto lowest = reinterpret_cast<std::uintptr_t>(low);
  const auto highest = reinterpret_cast<std::uintptr_t>(high);
  // A frame is the caller's frame pointer, and above it the return address; callers stand higher.
  while (count < limit && frame >= lowest && frame % sizeof(void*) == 0 &&
         frame + 2 * sizeof(void*) <= highest) {
    const auto* const words = reinterpret_cast<const std::uintptr_t*>(frame);
    const std::uintptr_t caller = words[0];
    const std::uintptr_t pc = words[1];
    if (pc < 4096) break;
    frames[count++] = reinterpret_cast<const void*>(pc);
    lowest = frame + 2 * sizeof(void*);
    frame = caller;
  }
  return count;
}

std::size_t unwind_interrupted(const void* context, const void* low, const void* high, const void** frames,
                               std::size_t limit) noexcept {
  const stack_position at = context == nullptr ? stack_position{} : position_of_interrupted(context);
  collector found{at.pc, frames, limit};
  _Unwind_Backtrace(&collector::visit, &found);
  return found.count > 1 ? found.count : walk_frames(at, low, high, frames, limit);
}

std::string symbol_name(const void* code) {
  char text[32];
  Dl_info found{};
  if (code == nullptr || ::dladdr(code, &found) == 0 || found.dli_fname == nullptr) {
    std::snprintf(text, sizeof text, "%p", code);
    return text;
  }
  std::snprintf(text, sizeof text, "+0x%zx", std::size_t{distance(found.dli_fbase, code)});
  const std::string place = base_name(found.dli_fname) + std::string(text);
  program_symbol symbol;
  if (found.dli_sname != nullptr) {
    symbol = {found.dli_sname, distance(found.dli_saddr, code)};
  } else {
    symbol = find_program_symbol(code);
  }
  if (symbol.name.empty()) return place;
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable(
      abi::__cxa_demangle(symbol.name.c_str(), nullptr, nullptr, &status), &std::free);
  std::snprintf(text, sizeof text, "+0x%zx", symbol.offset);
  return (readable == nullptr ? symbol.name : readable.get()) + std::string(text) + " (" + place + ')';
}

void signal_safe_text::put(char c) noexcept {
  if (used_ == sizeof buffer_) flush();
  buffer_[used_++] = c;
}

signal_safe_text& signal_safe_text::operator<<(const char* text) noexcept {
  while (*text != '\0') put(*text++);
  return *this;
}

signal_safe_text& signal_safe_text::operator<<(unsigned long number) noexcept {
  char digits[24];
  std::size_t n = 0;
  do digits[n++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) != 0);
  while (n != 0) put(digits[--n]);
  return *this;
}

signal_safe_text& signal_safe_text::operator<<(const void* address) noexcept {
  char digits[24];
  std::size_t n = 0;
  auto value = reinterpret_cast<std::uintptr_t>(address);
  do digits[n++] = "0123456789abcdef"[value % 16];
  while ((value /= 16) != 0);
  put('0');
  put('x');
  while (n != 0) put(digits[--n]);
  return *this;
}

signal_safe_text& signal_safe_text::code(const void* address) noexcept {
  Dl_info found{};
  *this << address;
  // dladdr() takes the loader's lock, which is recursive; a fault within the loader itself is rare enough.
  if (::dladdr(address, &found) == 0 || found.dli_fname == nullptr) return *this;
  *this << " ";
  if (found.dli_sname != nullptr) *this << found.dli_sname << " ";
  *this << "(" << base_name(found.dli_fname) << "+"
        << reinterpret_cast<const void*>(distance(found.dli_fbase, address)) << ")";
  return *this;
}

namespace {

// Not by a function that might wait as a fiber: nothing may be switched to in a handler, nor in what is
// broken.
ssize_t write_out(int fd, const char* from, std::size_t size) noexcept {
#if defined(__linux__)
  return ::syscall(SYS_write, fd, from, size);
#else
  return ::write(fd, from, size);
#endif
}

}  // namespace

void signal_safe_text::flush() noexcept {
  const char* from = buffer_;
  while (used_ != 0) {
    const ssize_t written = write_out(descriptor_, from, used_);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;  // nobody reads it
    from += written;
    used_ -= static_cast<std::size_t>(written);
  }
  used_ = 0;
}

}  // namespace zsync::detail
