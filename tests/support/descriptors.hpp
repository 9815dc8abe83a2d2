// Which file descriptors this process has open.
#pragma once

#include <map>
#include <string>

namespace zsync::test {

// Descriptor to what it refers to, as /proc/self/fd shows it.
using descriptor_map = std::map<int, std::string>;
descriptor_map open_descriptors();

// One line for each descriptor that is in `after` and not in `before`; empty if there is none.
std::string leaked_descriptors(const descriptor_map& before, const descriptor_map& after);

}  // namespace zsync::test
