// zsync's own jump, one way, beside that of Boost.Context: the same ring of two stacks, without a scheduler.
#include "common/meter.hpp"

#include <zsync/fiber/context.hpp>

#include <vector>

namespace {

using zsync::detail::transfer;

struct hopper {
  long left;
};

[[gnu::noinline]] transfer hop(void* to, hopper* ring) {
  do {
    const transfer back = zsync::detail::jump(to, ring);
    to = back.fctx;
  } while (--ring->left > 0);
  return {to, ring};
}

void jump_ring(bench::meter& m) {
  static std::vector<std::byte> memory(64 * 1024);
  const long n = m.scaled(100'000'000);
  hopper ring{n};
  const zsync::detail::stack stack{memory.data(), memory.data() + memory.size()};
  void* const other = zsync::detail::make_context(stack, [](transfer back) {
    const transfer end = hop(back.fctx, static_cast<hopper*>(back.data));
    zsync::detail::jump(end.fctx, nullptr);
  });
  m.start();
  hop(other, &ring);
  m.stop(n);
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, {{"switch", jump_ring}}); }
