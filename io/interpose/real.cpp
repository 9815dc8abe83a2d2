#include <zsync/io/interpose/real.hpp>

#include <elf.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace zsync::interpose {
namespace {

// What of a loaded object one needs to look a symbol up.
struct tables {
  const ElfW(Sym) * symbols = nullptr;
  const char* strings = nullptr;
  const ElfW(Half) * versions = nullptr;
  const std::uint32_t* hash = nullptr;  // DT_GNU_HASH
};

std::uint32_t hash_of(const char* name) noexcept {
  std::uint32_t h = 5381;
  for (; *name != 0; ++name) h = h * 33 + static_cast<unsigned char>(*name);
  return h;
}

tables tables_of(const dl_phdr_info& object) noexcept {
  tables found;
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    if (object.dlpi_phdr[i].p_type != PT_DYNAMIC) continue;
    const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + object.dlpi_phdr[i].p_vaddr);
    for (; entry->d_tag != DT_NULL; ++entry) {
      // glibc has relocated these, but for the kernel's own object.
      const ElfW(Addr) at =
          entry->d_un.d_ptr < object.dlpi_addr ? object.dlpi_addr + entry->d_un.d_ptr : entry->d_un.d_ptr;
      if (entry->d_tag == DT_SYMTAB) found.symbols = reinterpret_cast<const ElfW(Sym)*>(at);
      if (entry->d_tag == DT_STRTAB) found.strings = reinterpret_cast<const char*>(at);
      if (entry->d_tag == DT_VERSYM) found.versions = reinterpret_cast<const ElfW(Half)*>(at);
      if (entry->d_tag == DT_GNU_HASH) found.hash = reinterpret_cast<const std::uint32_t*>(at);
    }
  }
  return found;
}

// A function of that name which the object defines, in its default version.
const ElfW(Sym) * find_in(const tables& of, const char* name, std::uint32_t hash) noexcept {
  constexpr ElfW(Half) hidden = 0x8000;
  if (of.hash == nullptr || of.symbols == nullptr || of.strings == nullptr) return nullptr;
  const std::uint32_t buckets_count = of.hash[0];
  const std::uint32_t first = of.hash[1];
  const std::uint32_t bloom_words = of.hash[2];
  const std::uint32_t* const buckets = of.hash + 4 + bloom_words * (sizeof(ElfW(Addr)) / 4);
  const std::uint32_t* const chains = buckets + buckets_count;
  if (buckets_count == 0) return nullptr;
  std::uint32_t at = buckets[hash % buckets_count];
  if (at < first) return nullptr;
  for (;; ++at) {
    const std::uint32_t seen = chains[at - first];
    const ElfW(Sym)& s = of.symbols[at];
    const bool shown = of.versions == nullptr || (of.versions[at] & hidden) == 0;
    if ((seen | 1u) == (hash | 1u) && s.st_shndx != SHN_UNDEF && shown &&
        std::strcmp(of.strings + s.st_name, name) == 0) {
      return &s;
    }
    if ((seen & 1u) != 0) return nullptr;
  }
}

bool holds(const dl_phdr_info& object, ElfW(Addr) address) noexcept {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& p = object.dlpi_phdr[i];
    const ElfW(Addr) begin = object.dlpi_addr + p.p_vaddr;
    if (p.p_type == PT_LOAD && address >= begin && address - begin < p.p_memsz) return true;
  }
  return false;
}

struct search {
  const char* name;
  std::uint32_t hash;
  bool behind_us = false;
  void* found = nullptr;
};

int look(dl_phdr_info* object, std::size_t, void* data) noexcept {
  auto& s = *static_cast<search*>(data);
  if (!s.behind_us) {
    s.behind_us = holds(*object, reinterpret_cast<ElfW(Addr)>(&find_real));
    return 0;
  }
  const ElfW(Sym)* const symbol = find_in(tables_of(*object), s.name, s.hash);
  if (symbol == nullptr) return 0;
  const ElfW(Addr) at = object->dlpi_addr + symbol->st_value;
  s.found = ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC ? reinterpret_cast<void* (*)()>(at)()
                                                            : reinterpret_cast<void*>(at);
  return 1;
}

}  // namespace

void* find_real(const char* name) noexcept {
  search s{name, hash_of(name)};
  ::dl_iterate_phdr(&look, &s);
  if (s.found == nullptr) {
    // By no function that may be replaced.
    constexpr char text[] = "zsync: interposition: this C library has no ";
    ::syscall(SYS_write, STDERR_FILENO, text, sizeof text - 1);
    ::syscall(SYS_write, STDERR_FILENO, name, std::strlen(name));
    ::syscall(SYS_write, STDERR_FILENO, "\n", 1);
    std::abort();
  }
  return s.found;
}

}  // namespace zsync::interpose
