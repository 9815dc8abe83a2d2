// doctor: what this kernel and this C library offer, and what zsync makes of it.
#include "common/arguments.hpp"
#include "sample.hpp"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <vector>

#if defined(__linux__)
#include <linux/io_uring.h>
#include <sys/syscall.h>
#endif
#if defined(__GLIBC__)
#include <gnu/libc-version.h>
#endif

namespace samples {
namespace {

struct finding {
  std::string subject;
  std::string found;    // what there is
  std::string meaning;  // what zsync makes of it, in plain words
};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

finding kernel() {
  utsname name{};
  ::uname(&name);
  std::string found = std::string(name.sysname) + ' ' + name.release + ", " + name.machine;
#if defined(__GLIBC__)
  found += std::string(", glibc ") + ::gnu_get_libc_version();
#endif
#if defined(__linux__) && defined(__x86_64__) && defined(__GLIBC__)
  return {"system", found, "libc's blocking calls can be replaced (zsync::interpose)"};
#else
  return {"system", found, "libc's blocking calls cannot be replaced here; zsync::posix has them by name"};
#endif
}

finding backend(const zsync::runtime_options& in_use) {
  const std::string name(zsync::to_string(in_use.backend));
  return {"backend", name, "descriptors are waited for by " + name + ", unless --backend says otherwise"};
}

finding processors(const zsync::runtime_options& in_use) {
  return {"processors", std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)) + " online",
          std::to_string(in_use.workers) + " workers by default, as affinity and quota allow"};
}

#if defined(__linux__)

// Whether the kernel makes such a ring: 0 or an errno; its features in `features`.
int try_ring(unsigned flags, unsigned& features) {
  io_uring_params parameters{};
  parameters.flags = flags;
  const long fd = ::syscall(SYS_io_uring_setup, 4, &parameters);
  if (fd < 0) return errno;
  features = parameters.features;
  ::close(static_cast<int>(fd));
  return 0;
}

finding io_uring() {
  constexpr unsigned single_issuer = 1u << 12;
  constexpr unsigned defer_taskrun = 1u << 13;
  unsigned features = 0;
  if (const int error = try_ring(0, features); error != 0) {
    return {"io_uring", std::string("none: ") + std::strerror(error),
            "epoll is used; kernel.io_uring_disabled or a seccomp filter may forbid it"};
  }
  const struct {
    unsigned bit;
    const char* name;
  } known[] = {{1u << 1, "nodrop"}, {1u << 5, "fast_poll"}, {1u << 8, "ext_arg"}, {1u << 11, "cqe_skip"}};
  std::string found;
  for (const auto& each : known) {
    if ((features & each.bit) != 0) found += (found.empty() ? "" : ", ") + std::string(each.name);
  }
  unsigned ignored = 0;
  const bool deferred = try_ring(single_issuer | defer_taskrun, ignored) == 0;
  return {"io_uring", found + (deferred ? ", defer_taskrun" : ""),
          deferred ? "one ring a worker, whose completions come when the worker looks for them"
                   : "completions may interrupt a worker: Linux 6.1 would let them wait until it looks"};
}

finding guards() {
  constexpr int guard_install = 102;  // MADV_GUARD_INSTALL, since Linux 6.13
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* const memory = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool light = memory != MAP_FAILED && ::madvise(memory, page, guard_install) == 0;
  if (memory != MAP_FAILED) ::munmap(memory, page);
  const std::string mappings = first_line("/proc/sys/vm/max_map_count");
  if (light) return {"stack guards", "MADV_GUARD_INSTALL", "guards cost no mapping: a million fibers fit"};
  return {"stack guards", "mprotect, vm.max_map_count " + mappings,
          "each fiber takes two mappings: about " + std::to_string(std::stol("0" + mappings) / 2) +
              " fibers at once; raise vm.max_map_count for more, or take Linux 6.13"};
}

finding fs_base() {
#if defined(__x86_64__)
  constexpr unsigned long allowed = 2;
  if ((::getauxval(AT_HWCAP2) & allowed) != 0)
    return {"FSGSBASE", "yes", "a fiber could have thread-locals of its own cheaply; nothing uses it yet"};
  return {"FSGSBASE", "no", "nothing uses it yet"};
#else
  return {"FSGSBASE", "of x86-64 alone", "nothing uses it yet"};
#endif
}

finding backlog() {
  return {"listen backlog", "net.core.somaxconn " + first_line("/proc/sys/net/core/somaxconn"),
          "so many connections can wait for an accept; more are turned away for a second"};
}

#endif

std::string limit(rlim_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); }

finding descriptors() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const std::string found = limit(files.rlim_cur) + ", at most " + limit(files.rlim_max);
  if (files.rlim_cur != files.rlim_max)
    return {"descriptors", found, "so many sockets and files at once; raise it with `ulimit -n`"};
  return {
      "descriptors", found,
      "so many sockets and files at once; only the system's owner can allow more: LimitNOFILE= of a systemd "
      "service, --ulimit nofile= of a container, /etc/security/limits.conf for logins"};
}

finding address_space() {
  rlimit space{};
  ::getrlimit(RLIMIT_AS, &space);
  return {"address space", limit(space.rlim_cur),
          space.rlim_cur == RLIM_INFINITY ? "stacks are reserved freely, and cost what is touched of them"
                                          : "stacks take 256 KiB of it each, used or not"};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class doctor final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_flag(command, "--json", json_, "Print it as an array of objects");
  }

  void run(zsync::runtime& runtime) override {
    const zsync::runtime_options& in_use = runtime.options();
    found_ = {kernel(), backend(in_use), processors(in_use)};
#if defined(__linux__)
    for (finding each : {io_uring(), guards(), fs_base(), backlog()}) found_.push_back(std::move(each));
#endif
    found_.push_back(descriptors());
    found_.push_back(address_space());
  }

  void summarise(std::ostream& out) const override {
    if (json_) return print_json(out);
    std::size_t width = 0;
    for (const finding& each : found_) width = std::max(width, each.subject.size());
    const std::string indent(width + 2, ' ');
    for (const finding& each : found_) {
      out << each.subject << std::string(width + 2 - each.subject.size(), ' ') << each.found << '\n'
          << indent << each.meaning << '\n';
    }
  }

 private:
  void print_json(std::ostream& out) const {
    const char* before = "[\n  ";
    for (const finding& each : found_) {
      out << before << "{\"subject\": " << quoted(each.subject) << ", \"found\": " << quoted(each.found)
          << ", \"meaning\": " << quoted(each.meaning) << '}';
      before = ",\n  ";
    }
    out << "\n]\n";
  }

  bool json_ = false;
  std::vector<finding> found_;
};

}  // namespace

std::unique_ptr<sample> make_doctor() { return std::make_unique<doctor>(); }

}  // namespace samples
