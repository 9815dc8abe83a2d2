// Denies this process what it asks the system for: the k-th request, for every k.
//
// The test program has its own operator new, and its own mmap, madvise, mprotect and the like, which stand
// before libc's. They do what those do, until a test has one of them fail. What liburing asks the kernel for
// is beyond them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace zsync::test {

enum class request : std::uint8_t {
  memory,      // operator new, also nothrow and aligned
  mapping,     // mmap
  advice,      // madvise: what guards stacks, and gives memory back
  protection,  // mprotect: what guards stacks where madvise cannot
  thread,      // pthread_create
  descriptor,  // socket, epoll_create1, eventfd, accept4, pipe2, socketpair
  watch,       // epoll_ctl
  peace,  // calls of the kernel that a signal may interrupt: read, send, accept4, epoll_wait and the like
};

// Which requests are denied: the one, or all from it on.
enum class denied : std::uint8_t { one, all_from_there_on };

struct denial_report {
  long denials = 0;     // how many requests there were to be denied, so how many runs
  std::string failure;  // empty, or what went wrong, in which run, and where that request was made
};

// Runs `scenario` in a child: first a few times with all it asks for, then with its first request denied,
// with its second and so on, until a run asks for no more. It may do as it is told, or throw std::bad_alloc,
// or a std::system_error that `may_fail` of its code allows; it throws std::logic_error when it saw something
// wrong. After each run neither memory nor descriptors may be left. The caller must have no other thread.
denial_report deny_each(request what, denied how_many, const std::function<void()>& scenario);

}  // namespace zsync::test
