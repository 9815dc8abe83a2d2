// Which borrowed descriptors there are now, by number: so that whoever closes a number finds all that wait
// for it, on whichever worker. The process's, because numbers are.
#pragma once

#include <zsync/io/descriptor.hpp>

namespace zsync::detail {

// By the descriptor itself, while it lives. Any thread.
void list_borrowed(descriptor& d) noexcept;
void unlist_borrowed(descriptor& d) noexcept;

// One that is not closed yet; empty if there is none. Any thread.
[[nodiscard]] descriptor_ptr find_borrowed(int fd) noexcept;

}  // namespace zsync::detail
