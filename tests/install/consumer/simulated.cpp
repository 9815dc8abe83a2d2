// A test of somebody else's, on a simulated machine.
#include <zsync/io/sim/simulation.hpp>
#include <zsync/zsync.hpp>

#include <iostream>

int main() {
  zsync::sim::run({.seed = 1}, [] {
    auto [tx, rx] = zsync::channel<const char*>(0);
    zsync::fiber sender([&out = tx] { out.send("pong"); });
    std::cout << rx.recv().value_or("nothing") << '\n';
  });
}
