// Host and service, a line each, as a resolver is asked; on a simulated machine, which asks no server.
#include "fuzz/input.hpp"

#include <zsync/io/sim/simulation.hpp>
#include <zsync/zsync.hpp>

using namespace zsync;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text(data, size);
  const std::size_t line = text.find('\n');
  const std::string_view host = text.substr(0, line);
  const std::string_view service = line == text.npos ? std::string_view() : text.substr(line + 1);
  sim::run({}, [&] {
    (void)sim::add_host("other");
    std::error_code ec;
    const auto found = resolve(host, service, {}, ec);
    fuzz::expect(found.empty() == static_cast<bool>(ec), "addresses and an error, or neither");
    for (const socket_address& a : found)
      fuzz::expect(a.kind() == socket_address::family::v4 || a.kind() == socket_address::family::v6,
                   "a name has an address of another kind");
  });
  return 0;
}
