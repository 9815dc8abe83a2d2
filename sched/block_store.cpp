#include <zsync/sched/block_store.hpp>

#include <new>
#include <utility>

namespace zsync::detail {

block_store::~block_store() {
  for (free_block*& list : lists_) {
    while (list != nullptr) ::operator delete(std::exchange(list, list->next));
  }
}

std::size_t block_store::block_size(std::size_t size) noexcept {
  for (const std::size_t s : sizes) {
    if (size <= s) return s;
  }
  return size;
}

// With a memory checker on, blocks are not reused, so that it sees who uses a dead one.
int block_store::list_of(std::size_t size) noexcept {
  for (std::size_t i = 0; i < std::size(sizes) && !checker::active; ++i) {
    if (size <= sizes[i]) return static_cast<int>(i);
  }
  return -1;
}

void* block_store::allocate(std::size_t size) {
  const int list = list_of(size);
  if (list < 0 || lists_[list] == nullptr) return ::operator new(block_size(size));
  --kept_[list];
  return std::exchange(lists_[list], lists_[list]->next);
}

void block_store::deallocate(void* block, std::size_t size) noexcept {
  const int list = list_of(size);
  if (list < 0 || kept_[list] == kept_max) {
    ::operator delete(block);
    return;
  }
  ++kept_[list];
  lists_[list] = new (block) free_block{lists_[list]};
}

}  // namespace zsync::detail
