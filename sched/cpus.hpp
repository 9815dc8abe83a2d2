// How many CPUs this process may use.
#pragma once

namespace zsync::detail {

// The CPUs of its affinity mask, or fewer if a cgroup (version 1 or 2) grants less time than they have; at
// least one.
unsigned usable_cpus() noexcept;

}  // namespace zsync::detail
