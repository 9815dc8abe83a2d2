#include <zsync/fiber/sanitizer.hpp>

#if defined(ZSYNC_SANITIZE_FIBER)

#include <link.h>
#include <sys/mman.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

extern "C" {
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);
void AnnotateBenignRaceSized(const char* file, int line, const volatile void* at, std::size_t size,
                             const char* why);
}

namespace zsync::detail::checker {
namespace {

// The fibers of a worker share its thread's variables, errno first of all, without racing for them: a fiber
// that does not wait between two accesses has them for itself.
int excuse_thread_locals(dl_phdr_info* module, std::size_t, void*) noexcept {
  if (module->dlpi_tls_data == nullptr) return 0;
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const auto& segment = module->dlpi_phdr[i];
    if (segment.p_type == PT_TLS && segment.p_memsz != 0) {
      AnnotateBenignRaceSized(__FILE__, __LINE__, module->dlpi_tls_data, segment.p_memsz, "thread-local");
    }
  }
  return 0;
}

}  // namespace

// A stack's next fiber is not in a race with its last one. Nothing says so to ThreadSanitizer but a call that
// unmaps the memory: which this one, at an address that begins no page, does not do.
void forget_memory(void* bottom, std::size_t size) noexcept {
  constexpr std::size_t page = 4096;
  ::munmap(static_cast<char*>(bottom) - 1, 1 + (size + page - 1) / page * page);
}

void begin_nobody(checker_nobody& nobody) noexcept {
#if __has_include(<sys/single_threaded.h>)
  // Else libstdc++ counts references without atomics while one worker is all there is: right, and taken for a
  // race.
  __libc_single_threaded = 0;
#endif
  ::dl_iterate_phdr(&excuse_thread_locals, nullptr);
  void* const me = __tsan_get_current_fiber();
  nobody.thread = __tsan_create_fiber(0);
  __tsan_set_fiber_name(nobody.thread, "zsync's scheduler");
  __tsan_switch_to_fiber(nobody.thread, __tsan_switch_to_fiber_no_sync);
  __tsan_ignore_thread_begin();
  AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
  __tsan_switch_to_fiber(me, __tsan_switch_to_fiber_no_sync);
}

void end_nobody(checker_nobody& nobody) noexcept {
  void* const me = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(nobody.thread, __tsan_switch_to_fiber_no_sync);
  AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
  __tsan_ignore_thread_end();
  __tsan_switch_to_fiber(me, __tsan_switch_to_fiber_no_sync);
  __tsan_destroy_fiber(nobody.thread);
  nobody.thread = nullptr;
}

}  // namespace zsync::detail::checker

#endif
