#include <zsync/io/borrowed.hpp>
#include <zsync/sched/spinlock.hpp>

#include <array>
#include <mutex>

namespace zsync::detail {
namespace {

// A descriptor is borrowed for as long as somebody waits, so that these lists are short.
struct alignas(64) numbers {
  spinlock lock;  // guards the two lists
  descriptor* first = nullptr;
  closing_number* closing = nullptr;
};
constinit std::array<numbers, 64> table{};

numbers& list_of(int fd) noexcept { return table[static_cast<unsigned>(fd) % table.size()]; }

}  // namespace

closing_number::closing_number(int fd) noexcept : fd_(fd) {
  numbers& n = list_of(fd);
  const std::lock_guard hold(n.lock);
  next_ = n.closing;
  n.closing = this;
}

closing_number::~closing_number() {
  numbers& n = list_of(fd_);
  const std::lock_guard hold(n.lock);
  closing_number** at = &n.closing;
  while (*at != this) at = &(*at)->next_;
  *at = next_;
}

bool list_borrowed(descriptor& d) noexcept {
  numbers& n = list_of(d.fd());
  const std::lock_guard hold(n.lock);
  for (const closing_number* c = n.closing; c != nullptr; c = c->next_) {
    if (c->fd_ == d.fd()) return false;
  }
  d.next_borrowed = n.first;
  n.first = &d;
  return true;
}

void unlist_borrowed(descriptor& d) noexcept {
  numbers& n = list_of(d.fd());
  const std::lock_guard hold(n.lock);
  descriptor** at = &n.first;
  while (*at != &d) at = &(*at)->next_borrowed;
  *at = d.next_borrowed;
}

descriptor_ptr find_borrowed(int fd) noexcept {
  numbers& n = list_of(fd);
  const std::lock_guard hold(n.lock);
  for (descriptor* d = n.first; d != nullptr; d = d->next_borrowed) {
    if (d->fd() == fd && !d->closed() && d->retain_if_alive()) return descriptor_ptr(d);
  }
  return {};
}

}  // namespace zsync::detail
