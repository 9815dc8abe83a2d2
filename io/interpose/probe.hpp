// A shared object of its own that calls libc as any library does, so that one can see where it ends up.
#pragma once

#include <zsync/io/interpose/symbols.hpp>

#include <cstddef>

extern "C" {

// What the replaced functions are to it; *count of them, in the order of the list.
[[gnu::visibility("default")]] const zsync::interpose::symbol_address* zsync_interpose_probe_addresses(
    std::size_t* count) noexcept;

// Calls getnameinfo() with an address that nobody else asks for, and returns what that returned.
[[gnu::visibility("default")]] int zsync_interpose_probe_call(unsigned mark) noexcept;
}
