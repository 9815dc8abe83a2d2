// Which borrowed descriptors there are now, by number: so that whoever closes a number finds all that wait
// for it, on whichever worker. The process's, because numbers are.
#pragma once

#include <zsync/io/descriptor.hpp>

namespace zsync::detail {

// By the descriptor itself, while it lives. Any thread. False: the number is being closed, so come again.
[[nodiscard]] bool list_borrowed(descriptor& d) noexcept;
void unlist_borrowed(descriptor& d) noexcept;

// While one lives, nobody borrows that number: for between the last look for those who wait and the close, a
// new one would begin to wait for what the kernel then forgets without a word.
class closing_number {
 public:
  explicit closing_number(int fd) noexcept;
  ~closing_number();
  closing_number(const closing_number&) = delete;
  closing_number& operator=(const closing_number&) = delete;

 private:
  friend bool list_borrowed(descriptor& d) noexcept;

  const int fd_;
  closing_number* next_ = nullptr;  // borrowed.cpp's lock
};

// One that is not closed yet; empty if there is none. Any thread.
[[nodiscard]] descriptor_ptr find_borrowed(int fd) noexcept;

}  // namespace zsync::detail
