#include <zsync/fiber/overflow.hpp>

#include <zsync/fiber/backtrace.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>

namespace zsync::detail {
namespace {

constexpr std::size_t alternate_size = 64 * 1024;
constexpr std::size_t alternate_size_min = 32 * 1024;
constexpr std::size_t frames_max = 48;
constexpr std::ptrdiff_t frame_max = std::ptrdiff_t{64}
                                     << 20;  // larger ones are no frames, but another stack
constexpr int watched[] = {SIGSEGV, SIGBUS};

// Signal handlers belong to the process, and so does this.
struct {
  std::mutex lock;  // guards who installs and removes; handlers read the rest without
  int watches = 0;
  bool installed = false;
  running_fiber running = nullptr;
  struct sigaction before[std::size(watched)];
} process;

// The fiber whose guard was touched, or whose stack pointer has left its stack: a frame may be larger than
// the guard. One that is being switched away from has not got a name any more.
const fiber_control* overflown(const siginfo_t& fault, const void* context) noexcept {
  if (fault.si_code <= 0 || process.running == nullptr) return nullptr;  // sent by somebody
  const fiber_control* const fiber = process.running();
  if (fiber == nullptr || !fiber->memory) return nullptr;
  const auto* const at = static_cast<const std::byte*>(fault.si_addr);
  const std::byte* const bottom = fiber->memory.bottom;
  const auto* const sp = static_cast<const std::byte*>(stack_pointer_of_interrupted(context));
  const bool in_guard = at < bottom && at >= bottom - stack_pool::guard_size;
  const bool beyond = sp != nullptr && sp < bottom && sp >= bottom - frame_max;
  return in_guard || beyond ? fiber : nullptr;
}

void report(const fiber_control& fiber, const siginfo_t& fault, const void* context) noexcept {
  signal_safe_text err(STDERR_FILENO);
  err << "zsync: stack overflow in fiber " << fiber.id << " '" << (fiber.name ? fiber.name->c_str() : "")
      << "': its stack of " << std::size_t{fiber.stack_size} << " bytes is used up\n  spawned at ";
  err.code(fiber.spawned_at) << "\n  touched " << static_cast<const void*>(fault.si_addr)
                             << ", which is in or beyond its guard; called by, the innermost first:\n";
  err.flush();  // the rest may fail
  const void* frames[frames_max];
  const std::size_t count =
      unwind_interrupted(context, fiber.memory.bottom, fiber.memory.top, frames, frames_max);
  for (std::size_t i = 0; i < count; ++i) {
    err << "    ";
    err.code(frames[i]) << "\n";
  }
  if (count == frames_max) err << "    ...\n";
  err << "  spawn_options::stack_size and runtime_options::stack_size give larger ones\n";
}

// As if this library were not there.
void pass_on(int signal, siginfo_t& info, void* context, bool may_return) noexcept {
  const struct sigaction before = process.before[signal == SIGSEGV ? 0 : 1];
  const bool by_default = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_DFL;
  const bool ignored = (before.sa_flags & SA_SIGINFO) == 0 && before.sa_handler == SIG_IGN;
  if (ignored && info.si_code <= 0) return;
  if (by_default || ignored || !may_return || (before.sa_flags & static_cast<int>(SA_RESETHAND)) != 0) {
    // The fault comes again once this handler has returned, and meets the default: a core shows where.
    ::signal(signal, SIG_DFL);
    if (info.si_code <= 0 && (by_default || ignored)) ::raise(signal);  // delivered on return
  }
  if (by_default || ignored) return;
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, &info, context);
  } else {
    before.sa_handler(signal);
  }
}

void on_fault(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  if (const fiber_control* const fiber = overflown(*info, context)) {
    report(*fiber, *info, context);
    // A handler of the program's own may do what it likes; but if it returns, nothing has changed.
    pass_on(signal, *info, context, false);
  } else {
    pass_on(signal, *info, context, true);
  }
  errno = saved;
}

bool is_ours(const struct sigaction& action) noexcept {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &on_fault;
}

void install() noexcept {
  struct sigaction ours {};
  ours.sa_sigaction = &on_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  for (std::size_t i = 0; i < std::size(watched); ++i) {
    ::sigaction(watched[i], nullptr, &process.before[i]);
    ::sigaction(watched[i], &ours, nullptr);
  }
  process.installed = true;
}

// Who came later may have kept our handler as the one to pass on to: then it stays, and passes on.
void remove() noexcept {
  struct sigaction now {};
  for (const int signal : watched) {
    if (::sigaction(signal, nullptr, &now) != 0 || !is_ours(now)) return;
  }
  for (std::size_t i = 0; i < std::size(watched); ++i) {
    ::sigaction(watched[i], &process.before[i], nullptr);
  }
  process.installed = false;
}

}  // namespace

overflow_watch::overflow_watch(running_fiber running) noexcept {
  const std::lock_guard hold(process.lock);
  process.running = running;
  if (++process.watches != 1 || process.installed) return;
  const void* frame = nullptr;
  unwind_interrupted(nullptr, nullptr, nullptr, &frame, 1);  // so that its symbols are bound
  install();
}

overflow_watch::~overflow_watch() {
  const std::lock_guard hold(process.lock);
  if (--process.watches == 0) remove();
}

alternate_stack::~alternate_stack() {
  if (memory_ != nullptr) ::munmap(memory_, alternate_size);
}

void alternate_stack::enter() noexcept {
  if (memory_ == nullptr) {
    void* const memory =
        ::mmap(nullptr, alternate_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    memory_ = memory;
  }
  stack_t ours{};
  ours.ss_sp = memory_;
  ours.ss_size = alternate_size;
  entered_ = ::sigaltstack(&ours, &before_) == 0;
  if (entered_ && (before_.ss_flags & SS_DISABLE) == 0 && before_.ss_size >= alternate_size_min) leave();
}

void alternate_stack::leave() noexcept {
  if (!entered_) return;
  entered_ = false;
  ::sigaltstack(&before_, nullptr);
}

}  // namespace zsync::detail
