// How much of their stacks fibers really use, by the code that spawned them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace zsync {

// Of all fibers spawned by one place with stacks of one size that have ended so far.
struct stack_usage {
  std::string site;  // as far as the symbols of the program name it
  const void* spawned_at = nullptr;
  std::size_t stack_size = 0;   // bytes
  std::size_t touched_max = 0;  // bytes, to a page: the most that one of them touched
  std::uint64_t fibers = 0;
};

}  // namespace zsync
