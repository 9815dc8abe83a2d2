// The bare switch of Boost.Context, one way: two stacks in a ring, each jumping on to the other from the same
// place in the code, as the fibers of a scheduler do.
#include "common/meter.hpp"

#include <boost/context/detail/fcontext.hpp>

namespace {

namespace context = boost::context::detail;

struct hopper {
  context::fcontext_t other;
  long left;
};

[[gnu::noinline]] context::transfer_t hop(context::fcontext_t to, hopper* ring) {
  do {
    const context::transfer_t back = context::jump_fcontext(to, ring);
    to = back.fctx;
  } while (--ring->left > 0);
  return {to, ring};
}

void jump_ring(bench::meter& m) {
  static std::vector<char> stack(64 * 1024);
  const long n = m.scaled(100'000'000);
  hopper ring{nullptr, n};
  const auto other =
      context::make_fcontext(stack.data() + stack.size(), stack.size(), [](context::transfer_t back) {
        const auto end = hop(back.fctx, static_cast<hopper*>(back.data));
        context::jump_fcontext(end.fctx, nullptr);
      });
  m.start();
  hop(other, &ring);
  m.stop(n);
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, {{"switch", jump_ring}}); }
