// Whether memory that a caller names is there. libc's calls leave that to the kernel, which says EFAULT; what
// the drop-ins of zsync::posix read themselves they ask for before. Not a public header.
#pragma once

#include <cstddef>

namespace zsync::detail {

// Free of charge on the calling fiber's own stack, a short system call elsewhere. Neither changes errno.
// Systems other than Linux are not asked: there it is taken for granted, but for nullptr.
bool can_read(const void* at, std::size_t size) noexcept;
bool can_write(void* at, std::size_t size) noexcept;

template <class T>
bool can_read(const T* each, std::size_t count = 1) noexcept {
  return can_read(static_cast<const void*>(each), count * sizeof(T));
}

template <class T>
bool can_write(T* each) noexcept {
  return can_write(static_cast<void*>(each), sizeof(T));
}

}  // namespace zsync::detail
