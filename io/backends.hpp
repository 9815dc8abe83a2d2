// Which backends there are to choose from.
#pragma once

#include <zsync/sched/options.hpp>

#include <span>

namespace zsync {

// Those that this build of the library has, the one that `automatic` prefers first. Whether the kernel lets a
// program have them shows when a runtime starts.
std::span<const io_backend> built_backends() noexcept;

}  // namespace zsync
