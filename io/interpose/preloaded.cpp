// Looks, when the program starts, whether it shows the zsync that it has: of a program that keeps it to
// itself the preloaded library would know no fiber, or find out in the middle of a call that a part is
// missing.
#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/needed.hpp>
#include <zsync/io/interpose/probe.hpp>

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#define ZSYNC_DECLARE_NEEDED(name) extern "C" char zsync_needs_##name[] __asm__(#name) __attribute__((weak));
#define ZSYNC_NEEDED(name) {#name, zsync_needs_##name},
ZSYNC_NEEDED_SYMBOLS(ZSYNC_DECLARE_NEEDED)

namespace zsync::interpose {
namespace {

[[noreturn]] void refuse(const char* what, const char* name) noexcept {
  std::fprintf(
      stderr,
      "zsync: interposition inactive: this program %s%s: link it to all of zsync and show it "
      "(-rdynamic -Wl,--whole-archive -lzsync -Wl,--no-whole-archive, or zsync::preloadable in CMake), or "
      "link it to zsync::interpose instead\n",
      what, name);
  std::fflush(stderr);
  constexpr int status = 127;
  ::_exit(status);
}

// The note that zsync leaves in whatever it is linked to; see io/epoll.cpp.
bool is_noted(const dl_phdr_info& object) noexcept {
  constexpr char name[] = "zsync";
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& p = object.dlpi_phdr[i];
    if (p.p_type != PT_NOTE) continue;
    const auto* at = reinterpret_cast<const char*>(object.dlpi_addr + p.p_vaddr);
    const char* const end = at + p.p_memsz;
    while (end - at >= static_cast<std::ptrdiff_t>(sizeof(ElfW(Nhdr)))) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      if (note.n_namesz == sizeof name && std::memcmp(at + sizeof note, name, sizeof name) == 0) return true;
      const std::size_t align = p.p_align == 8 ? 8 : 4;
      const auto rounded = [align](std::size_t n) { return (n + align - 1) & ~(align - 1); };
      at += rounded(sizeof note + note.n_namesz);
      at += rounded(note.n_descsz);
    }
  }
  return false;
}

int look_at_program(dl_phdr_info* object, std::size_t, void* found) noexcept {
  *static_cast<bool*>(found) = is_noted(*object);
  return 1;  // the first is the program
}

// It is linked to zsync::interpose, and calls come to it before they would come here.
bool replaces_by_itself() noexcept {
  std::size_t count = 0;
  const symbol_address* const seen = ::zsync_interpose_probe_addresses(&count);
  Dl_info who{};
  Dl_info self{};
  return count != 0 && ::dladdr(seen[0].address, &who) != 0 &&
         ::dladdr(reinterpret_cast<const void*>(&refuse), &self) != 0 && who.dli_fbase != self.dli_fbase;
}

[[gnu::constructor]] void look() noexcept {
  if (active()) {
    static const symbol_address needed[] = {ZSYNC_NEEDED_SYMBOLS(ZSYNC_NEEDED)};
    for (const symbol_address& each : needed) {
      if (each.address == nullptr) refuse("has only a part of zsync, without ", each.name);
    }
    return;
  }
  bool noted = false;
  ::dl_iterate_phdr(&look_at_program, &noted);
  if (noted && !replaces_by_itself()) refuse("has zsync and does not show it", "");
}

}  // namespace
}  // namespace zsync::interpose
