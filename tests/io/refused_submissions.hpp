// A kernel that takes nothing new, as it does when memory is short.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <stdexcept>

namespace zsync::test {

// For a child process: from now on io_uring_enter that only submits, and does not ask for completions, says
// EBUSY.
inline void refuse_submissions() {
  const auto at = [](std::size_t offset) {
    return sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offset));
  };
  sock_filter program[] = {
      at(offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
      at(offsetof(seccomp_data, args) + 3 * sizeof(__u64)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0),  // IORING_ENTER_GETEVENTS
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EBUSY),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    throw std::runtime_error("no seccomp filter");
}

// While one lives, rings are made with few entries for submissions, and four times as many for completions.
class small_rings {
 public:
  explicit small_rings(const char* entries = "8") { ::setenv("ZSYNC_URING_ENTRIES", entries, 1); }
  ~small_rings() { ::unsetenv("ZSYNC_URING_ENTRIES"); }
  small_rings(const small_rings&) = delete;
  small_rings& operator=(const small_rings&) = delete;
};

}  // namespace zsync::test
