#include "common/hosted_server.hpp"

#include "common/arguments.hpp"
#include "common/own_thread.hpp"
#include "common/text.hpp"

#include <iostream>

namespace samples {

hosted_server::hosted_server(std::unique_ptr<event_host> (*make_host)())
    : make_host_(make_host), address_(zsync::socket_address::parse("127.0.0.1:7000")) {}

void hosted_server::add_options(CLI::App& command) {
  add_address(command, "-l,--listen", address_, "Where to listen; port 0 takes any free one");
}

void hosted_server::run(zsync::runtime& runtime) {
  const auto host = make_host_();
  on_own_thread([&] { host_all(runtime.options(), *host); }, [&] { host->stop(); });
  seconds_ = host->seconds;
}

void hosted_server::host_all(const zsync::runtime_options& options, event_host& host) {
  zsync::loop fibers(options);
  zsync::fiber<> server = fibers.spawn({.name = "server"}, [&] {
    try {
      serve();
    } catch (const std::exception&) {
      host.stop();  // nobody would ask for the result otherwise
      throw;
    }
  });
  host.run(fibers);
  server.cancel();
  fibers.run();  // until all have unwound
  try {
    server.join();
  } catch (const zsync::cancelled&) {  // as it was told
  }
}

void hosted_server::serve() {
  auto listener = zsync::tcp_listener::bind(address_);
  std::cout << "listening on " << listener.local_address().to_string() << std::endl;
  accept_all(listener, connections_, [this](zsync::tcp_stream& peer) { echo(peer, figures_); });
}

void hosted_server::summarise(std::ostream& out) const {
  out << count_text(figures_.requests, "request") << ", " << count_text(figures_.bytes, "byte") << ", "
      << count_text(connections_.accepted, "connection") << ", " << count_text(connections_.errors, "error")
      << ", " << count_text(connections_.open()) << " open; the host counted "
      << count_text(seconds_, "second") << '\n';
}

}  // namespace samples
