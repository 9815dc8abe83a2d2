// Says the seed of a run that ends its process: by std::terminate, an assertion, or misuse. Not a public
// header.
#pragma once

#include <cstdint>

namespace zsync::detail::simulated {

// While it lives, SIGABRT on the calling thread writes a line with the seed to stderr, and does then what it
// would have done.
class abort_notice {
 public:
  explicit abort_notice(std::uint64_t seed) noexcept;
  ~abort_notice();
  abort_notice(const abort_notice&) = delete;
  abort_notice& operator=(const abort_notice&) = delete;
};

}  // namespace zsync::detail::simulated
