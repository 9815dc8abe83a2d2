// The other end of zsync::inspection: `zsync-run dump` and `zsync-run stat` ask with it.
#pragma once

#include <sys/types.h>

#include <string>

namespace samples {

// Asks the process `pid` and returns its answer. Waits at most ten seconds for each part of it. Throws
// std::runtime_error, with what the user can do: there is no such process, it is not open to inspection, or
// it belongs to somebody else.
std::string inspect(pid_t pid, const std::string& question);

}  // namespace samples
