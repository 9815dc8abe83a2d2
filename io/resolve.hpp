// Names to addresses.
#pragma once

#include <zsync/io/socket_address.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace zsync {

struct resolve_options {
  socket_address::family family = socket_address::family::none;  // none: both
  std::vector<socket_address> servers{};  // instead of those that the system is set up with
};

// The addresses of a host, the most preferable first: as the system is set up, by its hosts file, search
// domains and name servers. `host` may be an address in figures; `service` is a port number, a name of the
// system's services file, or empty for port 0. Concurrent look-ups of one name are one.
//
// Waits for the name servers, up to the tightest deadline scope; a cancellation point. From fibers and plain
// threads. Errors: error::no_such_host, timed_out (no server answered), connection_refused, and others.
std::vector<socket_address> resolve(std::string_view host, std::string_view service,
                                    const resolve_options& options = {});
std::vector<socket_address> resolve(std::string_view host, std::string_view service,
                                    const resolve_options& options, std::error_code& ec);

}  // namespace zsync
