// How much address space a process has, for tests that give it no more. Linux.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>

namespace zsync::test {

// What this process has reserved, in bytes.
inline rlim_t address_space() {
  rlim_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace zsync::test
