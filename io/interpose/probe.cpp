#include <zsync/io/interpose/probe.hpp>

#include <netdb.h>

#include <iterator>

ZSYNC_REPLACED_SYMBOLS(ZSYNC_DECLARE_ADDRESS)

const zsync::interpose::symbol_address* zsync_interpose_probe_addresses(std::size_t* count) noexcept {
  static const zsync::interpose::symbol_address all[] = {ZSYNC_REPLACED_SYMBOLS(ZSYNC_ADDRESS)};
  *count = std::size(all);
  return all;
}

int zsync_interpose_probe_call(unsigned mark) noexcept {
  return ::getnameinfo(nullptr, mark, nullptr, 0, nullptr, 0, 0);
}
