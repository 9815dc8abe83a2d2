#include "common/tcp_server.hpp"

#include "common/arguments.hpp"
#include "common/resources.hpp"
#include "common/socket_file.hpp"
#include "common/text.hpp"

#include <iostream>
#include <limits>

namespace samples {
namespace {

bool is_shortage(const std::error_code& error) {
  return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
         error == std::errc::not_enough_memory || error == std::errc::no_buffer_space;
}

}  // namespace

tcp_server::tcp_server(std::uint16_t default_port)
    : address_(zsync::socket_address::parse("127.0.0.1:" + std::to_string(default_port))) {}

void tcp_server::add_options(CLI::App& command) {
  add_address(command, "-l,--listen", address_, "Where to listen; port 0 takes any free one");
}

void tcp_server::run(zsync::runtime&) {
  raise_descriptor_limit(std::numeric_limits<std::size_t>::max());
  prepare();
  auto listener = zsync::tcp_listener::bind(address_);
  const socket_file file(address_);
  std::cout << "listening on " << listener.local_address().to_string() << std::endl;
  accept_all(listener, figures_, [this](zsync::tcp_stream& peer) { serve(peer); });
}

void tcp_server::summarise(std::ostream& out) const {
  out << count_text(figures_.accepted, "connection") << ", " << count_text(figures_.errors, "error") << ", "
      << count_text(figures_.open()) << " open\n";
}

zsync::tcp_stream accept_next(zsync::tcp_listener& listener) {
  for (;;) {
    try {
      return listener.accept();
    } catch (const std::system_error& error) {
      if (!is_shortage(error.code())) throw;  // the next call waits a little first
    }
  }
}

}  // namespace samples
