#include <zsync/io/interpose/self_test.hpp>

#include <zsync/io/interpose/caller.hpp>
#include <zsync/io/interpose/probe.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>

ZSYNC_REPLACED_SYMBOLS(ZSYNC_DECLARE_ADDRESS)

namespace zsync::interpose {
namespace {

bool probe_came = false;  // before main(), or in nobody's way

// Ends the program: one that believes to wait as a fiber, and blocks its workers, only seems to work.
[[noreturn]] void give_up(const char* name, const void* taken_by) noexcept {
  Dl_info where{};
  const bool known = taken_by != nullptr && ::dladdr(taken_by, &where) != 0 && where.dli_fname != nullptr;
  std::fprintf(stderr, "zsync: interposition inactive: library order: %s() of other libraries goes to %s\n",
               name, known ? where.dli_fname : "another one");
  std::fflush(stderr);
  constexpr int status = 127;
  ::_exit(status);
}

void test() noexcept {
  static const symbol_address own[] = {ZSYNC_REPLACED_SYMBOLS(ZSYNC_ADDRESS)};
  std::size_t count = 0;
  const symbol_address* const theirs = ::zsync_interpose_probe_addresses(&count);
  for (std::size_t i = 0; i < std::size(own) && i < count; ++i) {
    if (own[i].address != theirs[i].address) give_up(own[i].name, theirs[i].address);
  }
  if (count != std::size(own)) give_up("getnameinfo", nullptr);  // of another version
  ::zsync_interpose_probe_call(probe_mark);
  if (!probe_came) give_up("getnameinfo", nullptr);
}

}  // namespace

bool is_probe(const void* address, std::uint32_t mark) noexcept {
  if (address != nullptr || mark != probe_mark) return false;
  probe_came = true;
  return true;
}

}  // namespace zsync::interpose

// What a program that links to this asks for, so that it gets all of it.
extern "C" [[gnu::constructor, gnu::visibility("default")]] void zsync_interpose_self_test() {
  if (zsync::interpose::active()) zsync::interpose::test();
}
