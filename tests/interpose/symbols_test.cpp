// What libzsync-interpose.so defines, beside what it is to replace: that none is forgotten.
#include "support/catch.hpp"
#include "support/subprocess.hpp"

#include <zsync/io/interpose/symbols.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace zsync::test;

namespace {

using names = std::set<std::string>;

// What an object defines for others. glibc's private ones are nobody's to call.
names defined_by(const std::string& object) {
  const child_result listed = run_program({"nm", "-D", "--defined-only", "--with-symbol-versions", object});
  REQUIRE(listed.exit_code == 0);
  names found;
  std::istringstream lines(listed.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("GLIBC_PRIVATE") != std::string::npos) continue;
    const std::string name = line.substr(line.rfind(' ') + 1);
    found.insert(name.substr(0, name.find('@')));
  }
  return found;
}

std::string path_of_libc() {
  Dl_info where{};
  REQUIRE(::dladdr(reinterpret_cast<const void*>(&::getpid), &where) != 0);
  return where.dli_fname;
}

// The calls that let other fibers run, or change what others wait for, by their plain names.
const std::vector<std::string> plain = {"read",
                                        "readv",
                                        "recv",
                                        "recvfrom",
                                        "recvmsg",
                                        "recvmmsg",
                                        "write",
                                        "writev",
                                        "send",
                                        "sendto",
                                        "sendmsg",
                                        "sendmmsg",
                                        "sendfile",
                                        "splice",
                                        "accept",
                                        "accept4",
                                        "connect",
                                        "socket",
                                        "socketpair",
                                        "pipe",
                                        "pipe2",
                                        "dup",
                                        "dup2",
                                        "dup3",
                                        "close",
                                        "close_range",
                                        "shutdown",
                                        "fcntl",
                                        "ioctl",
                                        "setsockopt",
                                        "fdopen",
                                        "fclose",
                                        "poll",
                                        "ppoll",
                                        "select",
                                        "pselect",
                                        "epoll_wait",
                                        "epoll_pwait",
                                        "epoll_pwait2",
                                        "sleep",
                                        "usleep",
                                        "nanosleep",
                                        "clock_nanosleep",
                                        "thrd_sleep",
                                        "getaddrinfo",
                                        "getnameinfo",
                                        "gethostbyname",
                                        "gethostbyname2",
                                        "gethostbyaddr",
                                        "gethostbyname_r",
                                        "gethostbyname2_r",
                                        "gethostbyaddr_r",
                                        "res_query",
                                        "res_search",
                                        "res_querydomain",
                                        "res_send",
                                        "res_nquery",
                                        "res_nsearch",
                                        "res_nquerydomain",
                                        "res_nsend",
                                        "pread",
                                        "pwrite",
                                        "preadv",
                                        "pwritev",
                                        "fsync",
                                        "fdatasync",
                                        "flock",
                                        "lockf",
                                        "wait",
                                        "waitpid",
                                        "wait3",
                                        "wait4",
                                        "waitid",
                                        "pthread_join"};

}  // namespace

TEST_CASE("it defines all calls of the table, and whatever other names libc has for them", "[interpose]") {
  const names ours = defined_by(INTERPOSE_LIBRARY);
  const names theirs = defined_by(path_of_libc());
  for (const std::string& name : plain) {
    INFO(name);
    CHECK(ours.count(name) == 1);
    for (const std::string& other : {"__" + name, name + "64", "__" + name + "64", "__" + name + "_chk",
                                     "__" + name + "64_chk", "_IO_" + name, name + "_time64"}) {
      INFO(other);
      CHECK(ours.count(other) >= theirs.count(other));
    }
  }
}

TEST_CASE("it defines what the self-test looks for, and nothing that is not libc's", "[interpose]") {
  const names ours = defined_by(INTERPOSE_LIBRARY);
  const names theirs = defined_by(path_of_libc());
#define ZSYNC_NAME(name) #name,
  for (const char* name : {ZSYNC_REPLACED_SYMBOLS(ZSYNC_NAME)}) {
    INFO(name);
    CHECK(ours.count(name) == 1);
  }
  for (const std::string& name : ours) {
    INFO(name);
    const bool own = name.rfind("zsync_interpose_", 0) == 0;
    // C++ has what templates of the standard library were made here.
    CHECK((own || theirs.count(name) == 1 || name.rfind("_Z", 0) == 0));
  }
}
