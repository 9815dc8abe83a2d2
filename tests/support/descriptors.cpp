#include "support/descriptors.hpp"

#include <dirent.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

namespace zsync::test {

descriptor_map open_descriptors() {
  descriptor_map found;
  DIR* listing = opendir("/proc/self/fd");
  if (listing == nullptr) return found;
  const int own = dirfd(listing);
  while (const dirent* entry = readdir(listing)) {
    if (std::string_view(entry->d_name).starts_with('.')) continue;
    const int fd = std::atoi(entry->d_name);
    if (fd == own) continue;
    std::array<char, 256> target{};
    const ssize_t size = readlinkat(own, entry->d_name, target.data(), target.size());
    found.emplace(fd, std::string(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0));
  }
  closedir(listing);
  return found;
}

std::string leaked_descriptors(const descriptor_map& before, const descriptor_map& after) {
  std::string report;
  for (const auto& [fd, target] : after) {
    if (!before.contains(fd)) report += "descriptor " + std::to_string(fd) + " -> " + target + '\n';
  }
  return report;
}

}  // namespace zsync::test
