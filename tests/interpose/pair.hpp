// What most of these tests wait on.
#pragma once

#include "support/catch.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace zsync::test {

// Two blocking sockets, connected.
struct pair {
  explicit pair(int type = SOCK_STREAM) { REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) == 0); }
  ~pair() {
    for (const int fd : ends) {
      if (fd >= 0) ::close(fd);
    }
  }
  pair(const pair&) = delete;
  pair& operator=(const pair&) = delete;
  int ends[2];
};

}  // namespace zsync::test
