// An unbounded channel allocates its memory without its lock, so anything may have happened by then. What
// happens is done here from within the allocation.
#include "support/catch.hpp"

#include <zsync/channel/channel.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <utility>

namespace {

// Called once, by the next allocation of this thread that asks for an alignment, as those of rings do.
thread_local std::function<void()> while_allocating;

}  // namespace

void* operator new(std::size_t size, std::align_val_t alignment) {
  if (const auto interlude = std::exchange(while_allocating, nullptr)) interlude();
  const std::size_t unit = std::max(static_cast<std::size_t>(alignment), sizeof(void*));
  void* const block = std::aligned_alloc(unit, (size + unit - 1) / unit * unit);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept { std::free(block); }
void operator delete(void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  std::free(block);
}

namespace {

using namespace zsync;

TEST_CASE("an unbounded channel grows once though two senders find it full", "[channel]") {
  auto [tx, rx] = unbounded_channel<int>();
  bool interrupted = false;
  int last = 0;
  while_allocating = [&, &tx = tx, &rx = rx] {
    interrupted = true;
    tx.send(-1);  // grows it before the first who found it full does
    while (rx.try_recv(last) == channel_status::success) continue;  // so all of it is empty
  };
  int sent = 0;
  while (!interrupted) tx.send(++sent);
  CHECK(last == -1);
  CHECK(rx.size() == 1);
  CHECK(rx.try_recv(last) == channel_status::success);
  CHECK(last == sent);
  CHECK(rx.empty());
}

}  // namespace
