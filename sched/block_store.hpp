// Memory for control blocks, reused. Not a public header.
#pragma once

#include <zsync/fiber/sanitizer.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace zsync::detail {

// One thread's. Blocks may come from another one's store: all have one of two sizes, or are not kept.
class block_store {
 public:
  block_store() = default;
  ~block_store();
  block_store(const block_store&) = delete;
  block_store& operator=(const block_store&) = delete;

  void* allocate(std::size_t size);  // throws std::bad_alloc
  void deallocate(void* block, std::size_t size) noexcept;

  // How large a block for `size` bytes really is.
  static std::size_t block_size(std::size_t size) noexcept;

 private:
  struct free_block {
    free_block* next;
  };
  // With the word that malloc keeps with each they are multiples of its 16 bytes, so that none are lost.
  static constexpr std::size_t sizes[] = {248, 504};
  static constexpr std::uint32_t kept_max = 4096;

  static int list_of(std::size_t size) noexcept;

  free_block* lists_[std::size(sizes)] = {};
  std::uint32_t kept_[std::size(sizes)] = {};
};

}  // namespace zsync::detail
