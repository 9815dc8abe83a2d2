// Which borrowed descriptors there are now, by number: so that whoever closes a number finds all that wait
// for it, on whichever worker. The process's, because numbers are.
#pragma once

#include <zsync/io/descriptor.hpp>

namespace zsync::detail {

// For the descriptor, while it lives. Any thread. Waits while the number is being closed; neither
// cancellation nor a deadline ends that.
void list_borrowed(descriptor& d) noexcept;
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
  friend void list_borrowed(descriptor& d) noexcept;

  const int fd_;
  closing_number* next_ = nullptr;  // borrowed.cpp's lock, as the next
  wait_queue waiting_;              // who wants to borrow it
};

// False: there is none. Takes no lock, so a signal handler may ask, and the child of a fork.
[[nodiscard]] bool may_be_borrowed(int fd) noexcept;
// One that is not closed yet; empty if there is none. Any thread.
[[nodiscard]] descriptor_ptr find_borrowed(int fd) noexcept;
// The lowest number from `first` to `last` of which there is one; -1: none. Any thread.
[[nodiscard]] int lowest_borrowed(unsigned first, unsigned last) noexcept;

}  // namespace zsync::detail
