// What zsync::inspection and those who ask it, samples/common/inspector.cpp, have to agree on, beside
// peer_user.hpp. Not a public header.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace zsync::detail {

// Every answer begins with it. After it is connected, a client sends its question, a line; the answer ends
// with the connection.
inline constexpr std::string_view inspection_greeting = "zsync inspection 1\n";

// In $XDG_RUNTIME_DIR of the process, or else in /tmp.
inline std::string inspection_socket(std::string_view directory, pid_t of) {
  return std::string(directory) + "/zsync-" + std::to_string(of) + ".sock";
}

}  // namespace zsync::detail
