// udp-echo: sends each datagram back to where it came from.
#include "common/arguments.hpp"
#include "common/text.hpp"
#include "sample.hpp"

#include <iostream>
#include <span>
#include <vector>

namespace samples {
namespace {

class udp_echo final : public sample {
 public:
  void add_options(CLI::App& command) override {
    add_address(command, "-l,--listen", address_, "Where to listen; port 0 takes any free one");
  }

  void run(zsync::runtime&) override {
    auto socket = zsync::udp_socket::bind(address_);
    std::cout << "listening on " << socket.local_address().to_string() << std::endl;
    std::vector<std::byte> buffer(datagram_max);
    for (;;) {
      zsync::socket_address from;
      const std::size_t size = socket.recv_from(buffer, from);
      std::error_code error;
      socket.send_to(std::span(buffer).first(size), from, error);
      ++(error ? errors_ : datagrams_);
    }
  }

  void summarise(std::ostream& out) const override {
    out << count_text(datagrams_, "datagram") << ", " << count_text(errors_, "error") << '\n';
  }

 private:
  static constexpr std::size_t datagram_max = 64 * 1024;
  zsync::socket_address address_ = zsync::socket_address::parse("127.0.0.1:7000");
  std::uint64_t datagrams_ = 0;
  std::uint64_t errors_ = 0;
};

}  // namespace

std::unique_ptr<sample> make_udp_echo() { return std::make_unique<udp_echo>(); }

}  // namespace samples
