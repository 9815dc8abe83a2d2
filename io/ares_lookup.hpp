// One look-up by c-ares, whose sockets the calling fiber or thread watches.
#pragma once

#include <zsync/io/resolve.hpp>

#include <string>
#include <system_error>
#include <vector>

namespace zsync::detail {

// Waits. `service` may be empty.
std::vector<socket_address> ares_lookup(const std::string& host, const std::string& service,
                                        const resolve_options& options, std::error_code& ec);

}  // namespace zsync::detail
