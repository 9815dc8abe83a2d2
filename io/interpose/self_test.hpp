// Proves at the start of the program that other libraries' calls come to this one.
#pragma once

#include <cstdint>

namespace zsync::interpose {

inline constexpr std::uint32_t probe_mark = 0x7a73796e;

// The call of the self-test, and nobody's else. Takes note of it.
bool is_probe(const void* address, std::uint32_t mark) noexcept;

}  // namespace zsync::interpose
