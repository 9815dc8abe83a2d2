#include <zsync/io/borrowed.hpp>
#include <zsync/sched/spinlock.hpp>
#include <zsync/sched/wait.hpp>

#include <array>
#include <atomic>
#include <mutex>

namespace zsync::detail {
namespace {

// As many lists as keep them short while each of some ten thousand fibers waits for a connection. A
// descriptor takes itself out without a look at the others: a list's are scattered all over the memory.
struct numbers {
  spinlock lock;                    // guards the two lists
  std::atomic<unsigned> listed{0};  // how many in the first; changed under the lock
  descriptor* first = nullptr;
  closing_number* closing = nullptr;
};
constinit std::array<numbers, 4096> table{};

numbers& list_of(int fd) noexcept { return table[static_cast<unsigned>(fd) % table.size()]; }

}  // namespace

closing_number::closing_number(int fd) noexcept : fd_(fd) {
  numbers& n = list_of(fd);
  const std::lock_guard hold(n.lock);
  next_ = n.closing;
  n.closing = this;
}

closing_number::~closing_number() {
  {
    numbers& n = list_of(fd_);
    const std::lock_guard hold(n.lock);
    closing_number** at = &n.closing;
    while (*at != this) at = &(*at)->next_;
    *at = next_;
  }
  // Nobody finds it any more, and nothing but this ends these waits: the queue is ours alone.
  while (const waiter* const w = waiting_.claim_front()) schedule(*w->party);
}

void list_borrowed(descriptor& d) noexcept {
  numbers& n = list_of(d.fd());
  for (;;) {
    std::unique_lock hold(n.lock);
    closing_number* closing = n.closing;
    while (closing != nullptr && closing->fd_ != d.fd()) closing = closing->next_;
    if (closing == nullptr) {
      d.next_borrowed = n.first;
      d.link_borrowed = &n.first;
      if (n.first != nullptr) n.first->link_borrowed = &d.next_borrowed;
      n.first = &d;
      n.listed.fetch_add(1);
      return;
    }
    wait w(wait_kind::io_other, &d, wait::uncancellable | wait::unscoped);
    if (!w.open()) continue;
    waiter me(w);
    closing->waiting_.push_back(me);
    hold.unlock();
    w.suspend();
  }
}

void unlist_borrowed(descriptor& d) noexcept {
  numbers& n = list_of(d.fd());
  const std::lock_guard hold(n.lock);
  *d.link_borrowed = d.next_borrowed;
  if (d.next_borrowed != nullptr) d.next_borrowed->link_borrowed = d.link_borrowed;
  n.listed.fetch_sub(1);
}

bool may_be_borrowed(int fd) noexcept { return list_of(fd).listed.load() != 0; }

descriptor_ptr find_borrowed(int fd) noexcept {
  numbers& n = list_of(fd);
  const std::lock_guard hold(n.lock);
  for (descriptor* d = n.first; d != nullptr; d = d->next_borrowed) {
    if (d->fd() == fd && !d->closed() && d->retain_if_alive()) return descriptor_ptr(d);
  }
  return {};
}

int lowest_borrowed(unsigned first, unsigned last) noexcept {
  int lowest = -1;
  for (numbers& n : table) {
    if (n.listed.load() == 0) continue;
    const std::lock_guard hold(n.lock);
    for (const descriptor* d = n.first; d != nullptr; d = d->next_borrowed) {
      const auto fd = static_cast<unsigned>(d->fd());
      if (fd < first || fd > last || d->closed()) continue;
      if (lowest < 0 || d->fd() < lowest) lowest = d->fd();
    }
  }
  return lowest;
}

}  // namespace zsync::detail
