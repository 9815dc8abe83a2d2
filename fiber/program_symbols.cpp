#include <zsync/fiber/program_symbols.hpp>

#if __has_include(<link.h>)
#include <fcntl.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>
#endif

namespace zsync::detail {

#if __has_include(<link.h>)
namespace {

using file_header = ElfW(Ehdr);
using section = ElfW(Shdr);
using symbol = ElfW(Sym);

// The program comes first, and without a name.
struct place {
  std::uintptr_t code;
  std::uintptr_t in_file = 0;  // the address that the file gives it
  bool found = false;

  static int visit(dl_phdr_info* object, std::size_t, void* argument) {
    auto& self = *static_cast<place*>(argument);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const auto& part = object->dlpi_phdr[i];
      const std::uintptr_t begin = object->dlpi_addr + part.p_vaddr;
      if (part.p_type != PT_LOAD || self.code < begin || self.code >= begin + part.p_memsz) continue;
      self.in_file = self.code - object->dlpi_addr;
      self.found = true;
    }
    return 1;  // no other
  }
};

class program_file {
 public:
  program_file() : fd_(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)) {}
  ~program_file() {
    if (fd_ >= 0) ::close(fd_);
  }
  program_file(const program_file&) = delete;
  program_file& operator=(const program_file&) = delete;

  // How many bytes there were.
  std::size_t read(void* to, std::size_t size, std::uint64_t at) const noexcept {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n =
          ::pread(fd_, static_cast<char*>(to) + done, size - done, static_cast<off_t>(at + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  template <class T>
  bool read(T& to, std::uint64_t at) const noexcept {
    return read(&to, sizeof to, at) == sizeof to;
  }

 private:
  int fd_;
};

bool find_table(const program_file& file, section& symbols, section& names) {
  file_header head{};
  if (!file.read(head, 0) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return false;
  for (unsigned i = 0; i < head.e_shnum; ++i) {
    if (!file.read(symbols, head.e_shoff + i * sizeof(section))) return false;
    if (symbols.sh_type == SHT_SYMTAB) {
      return symbols.sh_link < head.e_shnum &&
             file.read(names, head.e_shoff + symbols.sh_link * sizeof(section));
    }
  }
  return false;
}

bool find_function(const program_file& file, const section& table, std::uintptr_t address, symbol& function) {
  constexpr std::size_t at_once = 4096;
  std::vector<symbol> some(at_once);
  for (std::uint64_t done = 0; done < table.sh_size; done += at_once * sizeof(symbol)) {
    const std::size_t size = std::min<std::size_t>(at_once * sizeof(symbol), table.sh_size - done);
    const std::size_t count = file.read(some.data(), size, table.sh_offset + done) / sizeof(symbol);
    const auto end = some.begin() + static_cast<std::ptrdiff_t>(count);
    const auto at = std::find_if(some.begin(), end, [&](const symbol& s) {
      return (s.st_info & 0xf) == STT_FUNC && s.st_value <= address && address - s.st_value < s.st_size;
    });
    if (at != end) {
      function = *at;
      return true;
    }
  }
  return false;
}

}  // namespace

program_symbol find_program_symbol(const void* code) {
  place where{reinterpret_cast<std::uintptr_t>(code)};
  ::dl_iterate_phdr(&place::visit, &where);
  if (!where.found) return {};
  const program_file file;
  section symbols{}, names{};
  symbol function{};
  if (!find_table(file, symbols, names) || !find_function(file, symbols, where.in_file, function)) return {};
  std::string name(4096, '\0');
  const std::uint64_t left = names.sh_size - std::min<std::uint64_t>(function.st_name, names.sh_size);
  name.resize(
      file.read(name.data(), std::min<std::size_t>(name.size(), left), names.sh_offset + function.st_name));
  name.resize(::strnlen(name.c_str(), name.size()));
  return {std::move(name), where.in_file - function.st_value};
}

#else

program_symbol find_program_symbol(const void* /*code*/) { return {}; }

#endif

}  // namespace zsync::detail
