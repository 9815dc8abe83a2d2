// What zsync::inspection and those who ask it, samples/common/inspector.cpp, have to agree on, beside
// peer_user.hpp. Not a public header.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace zsync::detail {

// After it is connected, a client sends its question, a line. The answer stands between these two; without
// the second it is not whole, because the process has ended or has lost patience.
inline constexpr std::string_view inspection_greeting = "zsync inspection 1\n";
inline constexpr std::string_view inspection_end = "\nend of the inspection\n";

// In $XDG_RUNTIME_DIR of the process, or else in /tmp.
inline std::string inspection_socket(std::string_view directory, pid_t of) {
  return std::string(directory) + "/zsync-" + std::to_string(of) + ".sock";
}

}  // namespace zsync::detail
